"""Dropout: drawn, applied and remembered in one pass."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.backend import Array, namespace, uint8
from tinygrad_mmb.backend.philox import threshold_of
from tinygrad_mmb.kernels.cpu.native import are_floats, cpu_kernel, native
from tinygrad_mmb.kernels.launch import contiguous
from tinygrad_mmb.kernels.registry import WithExtras


def takes(x: Array, p: float, key: int, *others: Any, **options: Any) -> bool:
    """Whether x holds float32 or float64, and the key is one that a generator makes."""
    return are_floats(x) and 0 <= key < 2**64


@cpu_kernel("Dropout", accepts=takes)
def dropout(x: Array, p: float, key: int) -> WithExtras:
    xp, x = namespace(x), contiguous(x)
    y, kept = xp.empty(x.shape, x.dtype), xp.empty(x.shape, uint8)
    native.dropout(y, kept, x, key, threshold_of(p), scale(x, p))
    return WithExtras(y, kept)


@cpu_kernel("Dropout.backward", accepts=takes)
def dropout_backward(
    g: Array, p: float, key: int, kept: Array, needs_input_grad: Any
) -> tuple[Array, None, None]:
    dx = namespace(g).empty(g.shape, g.dtype)
    native.dropout_backward(dx, contiguous(g), kept, scale(g, p))
    return dx, None, None


def scale(x: Array, p: float) -> float:
    """What the kept ones are multiplied by, rounded as x is."""
    return float(x.dtype.type(1.0 / (1.0 - p) if p < 1.0 else 0.0))
