"""Softmax over the last dimension."""

from __future__ import annotations

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.launch import (
    contiguous,
    cuda_function,
    cuda_kernel,
    int32,
    is_float,
    suffix,
)


def is_over_rows(x: Array, dim: int) -> bool:
    """Whether `dim` is the last dimension."""
    return is_float(x, wide=True) and x.ndim > 0 and dim == x.ndim - 1


@cuda_kernel("Softmax", accepts=is_over_rows)
def softmax(x: Array, dim: int) -> Array:
    x = contiguous(x)
    y = namespace(x).empty_like(x)
    cols = x.shape[-1]
    rows = x.size // max(cols, 1)
    cuda_function("softmax.cu", f"softmax_rows_{suffix(x)}")((rows,), (256,), (y, x, int32(cols)))
    return y
