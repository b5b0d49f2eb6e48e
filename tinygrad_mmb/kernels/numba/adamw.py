"""AdamW: Adam's loop, in which the parameters shrink by themselves."""

from __future__ import annotations

from tinygrad_mmb.kernels.numba.adam import adam, takes
from tinygrad_mmb.kernels.numba.compile import numba_kernel

adamw = numba_kernel("AdamW.update", accepts=takes)(adam)
