"""How a wrapper of a CUDA kernel reaches a GPU or the emulator."""

from tinygrad_mmb.kernels.launch.arguments import contiguous, is_float, suffix
from tinygrad_mmb.kernels.launch.function import (
    CudaFunction,
    cuda_function,
    cuda_kernel,
    float32,
    float64,
    int32,
    int64,
)

__all__ = [
    "CudaFunction",
    "contiguous",
    "cuda_function",
    "cuda_kernel",
    "float32",
    "float64",
    "int32",
    "int64",
    "is_float",
    "suffix",
]
