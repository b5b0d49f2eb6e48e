"""AdamW: Adam's pass, in which the parameters shrink by themselves."""

from __future__ import annotations

from tinygrad_mmb.kernels.cpu.adam import adam, takes
from tinygrad_mmb.kernels.cpu.native import cpu_kernel

adamw = cpu_kernel("AdamW.update", accepts=takes)(adam)
