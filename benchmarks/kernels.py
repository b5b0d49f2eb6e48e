"""Kernels against libraries, on this machine: `mmb bench` from a checkout.

    python benchmarks/kernels.py [--quick] [--only Softmax,MatMul] [--out DIR] ...

On a GPU within 480 s: every handwritten kernel is checked, then timed in turn with cuBLAS, PyTorch,
torch.compile and JAX where they are installed. Without a GPU: NumPy and compiled twins are timed,
the CUDA kernels checked and profiled by the emulator. `--help` lists the options,
docs/benchmarks.md explains what comes out.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("tinygrad_mmb") is None:  # not installed: use the checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tinygrad_mmb.cli import main

if __name__ == "__main__":
    main(["bench", *sys.argv[1:]])
