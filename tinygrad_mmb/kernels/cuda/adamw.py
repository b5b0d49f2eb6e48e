"""AdamW: Adam's kernels, in which the parameters shrink by themselves."""

from __future__ import annotations

from tinygrad_mmb.kernels.cuda.adam import adam, takes
from tinygrad_mmb.kernels.launch import cuda_kernel

adamw = cuda_kernel("AdamW.update", accepts=takes)(adam)
