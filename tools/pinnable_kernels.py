"""Print the kernels that the suite can be pinned to here without a GPU, for pytest --kernels:
"reference cpu emulator numba".

    python tools/pinnable_kernels.py
"""

from __future__ import annotations

import tinygrad_mmb.kernels  # noqa: F401  fills the table
from tinygrad_mmb.kernels.registry import REFERENCE, backends

print(REFERENCE, *(backend for backend in backends() if backend != "cuda"))
