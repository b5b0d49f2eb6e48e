"""Dropout: the mask is drawn where it is needed, from a key, and never stored."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.backend.philox import threshold_of
from tinygrad_mmb.kernels.launch import (
    contiguous,
    cuda_function,
    cuda_kernel,
    float32,
    float64,
    int64,
    is_float,
    suffix,
)

THREADS = 256
SHARE = 256  # numbers of a warp


def takes(x: Array, p: float, key: int, **options: Any) -> bool:
    """Whether x holds floats."""
    return is_float(x)


@cuda_kernel("Dropout", accepts=takes)
def dropout(x: Array, p: float, key: int) -> Array:
    x = contiguous(x)
    y = namespace(x).empty_like(x)
    threshold = threshold_of(p)
    computed = float64 if x.dtype == float64 else float32  # as float16 is, in the kernel
    # rounded as x is, as the reference's factor
    scale = x.dtype.type(1.0 / (1.0 - p) if threshold < 2**32 else 0.0)
    warps = -(-x.size // SHARE)
    cuda_function("dropout.cu", f"dropout_{suffix(x)}")(
        (-(-warps * 32 // THREADS),),
        (THREADS,),
        (
            *(y, x, int64(x.size), int64(key - 2**64 if key >= 2**63 else key), int64(threshold)),
            computed(scale),
        ),
    )
    return y


@cuda_kernel("Dropout.backward", accepts=takes)
def dropout_backward(g: Array, p: float, key: int, needs_input_grad: Any) -> Any:
    return dropout(g, p, key), None, None
