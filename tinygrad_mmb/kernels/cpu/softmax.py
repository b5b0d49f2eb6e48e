"""Softmax along any dimension, and its gradient."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.cpu.native import are_floats, cpu_kernel, native
from tinygrad_mmb.kernels.launch import contiguous
from tinygrad_mmb.kernels.launch.rows import around
from tinygrad_mmb.kernels.registry import WithExtras


def runs_along(x: Array, dim: int) -> bool:
    """Whether the kernels can walk along `dim` of x."""
    return are_floats(x) and x.ndim > 0 and x.size > 0


def runs_back_along(g: Array, y: Array, dim: int, **options: Any) -> bool:
    """Whether the kernels of the way back can; `dim` is what the forward twin left."""
    return are_floats(g, y)


@cpu_kernel("Softmax", accepts=runs_along)
def softmax(x: Array, dim: int) -> WithExtras:
    return along(native.softmax, x, dim)


@cpu_kernel("Softmax.backward", accepts=runs_back_along)
def softmax_backward(g: Array, y: Array, dim: int, needs_input_grad: Any) -> tuple[Array, None]:
    return back_along(native.softmax_backward, g, y, dim), None


def along(kernel: Any, x: Array, dim: int) -> WithExtras:
    """y like x, computed by a kernel that takes (y, x, outer, n, inner)."""
    x = contiguous(x)
    y: Array = namespace(x).empty(x.shape, x.dtype)
    kernel(y, x, *around(x.shape, dim))
    return WithExtras(y, dim)


def back_along(kernel: Any, g: Array, y: Array, dim: int) -> Array:
    """∂L/∂x, computed by a kernel that takes (dx, g, y, outer, n, inner)."""
    g, y = contiguous(g), contiguous(y)
    dx: Array = namespace(y).empty(y.shape, y.dtype)
    kernel(dx, g, y, *around(y.shape, dim))
    return dx
