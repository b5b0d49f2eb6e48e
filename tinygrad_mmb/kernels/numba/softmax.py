"""Softmax of rows: yⱼ = exp(xⱼ - max x) / Σₖ exp(xₖ - max x), and ∂L/∂xⱼ = yⱼ (gⱼ - Σₖ gₖ yₖ).

The loops do for one row, while it lies in the cache, what NumPy does for all of x one operation
after the other. Only exp stays NumPy's: it computes 8 or 16 at once, where numba calls the C
library for each (2.4 against 0.5 ns a number; csrc/cuda/kernels/softmax.cu has it in the loop).
Other dimensions than the last are NumPy's too: to bring their rows together takes longer.
"""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.launch.arguments import contiguous, is_float
from tinygrad_mmb.kernels.numba.compile import jit, jit_sums, numba_kernel


@jit
def subtract_largest(y: Any, x: Any) -> None:
    rows, cols = x.shape
    for row in range(rows):
        largest = x[row, 0]
        for j in range(cols):
            largest = max(largest, x[row, j])
        for j in range(cols):
            y[row, j] = x[row, j] - largest


@jit_sums
def divide_by_sum(y: Any) -> None:
    rows, cols = y.shape
    for row in range(rows):
        total = 0.0  # float64: a float32 would lose digits over thousands of numbers
        for j in range(cols):
            total += y[row, j]
        scale = y.dtype.type(1.0 / total)
        for j in range(cols):
            y[row, j] *= scale


@jit_sums
def softmax_rows_backward(dx: Any, g: Any, y: Any) -> None:
    rows, cols = y.shape
    for row in range(rows):
        total = 0.0
        for j in range(cols):
            total += g[row, j] * y[row, j]
        mean = y.dtype.type(total)
        for j in range(cols):
            dx[row, j] = y[row, j] * (g[row, j] - mean)


def as_rows(x: Array) -> Array:
    """x as a matrix whose rows run along the last dimension."""
    return contiguous(x).reshape(-1, x.shape[-1])


def shifted(rows: Array) -> Array:
    """x - max x of each row: exp of it cannot overflow."""
    y: Array = namespace(rows).empty_like(rows)
    subtract_largest(y, rows)
    return y


def runs_along_rows(x: Array, dim: int) -> bool:
    """Whether `dim` is the last dimension, and not empty."""
    return is_float(x, wide=True) and x.size > 0 and dim == x.ndim - 1


def fits(g: Array, y: Array, **options: Any) -> bool:
    """Whether g is the gradient of what forward computed."""
    return is_float(g, y, wide=True) and g.shape == y.shape


@numba_kernel("Softmax", accepts=runs_along_rows)
def softmax(x: Array, dim: int) -> Array:
    y = shifted(as_rows(x))
    namespace(x).exp(y, out=y)
    divide_by_sum(y)
    return y.reshape(x.shape)


@numba_kernel("Softmax.backward", accepts=fits)
def softmax_backward(g: Array, y: Array, needs_input_grad: Any) -> tuple[Array, None]:
    dx: Array = namespace(y).empty(y.shape, y.dtype)
    softmax_rows_backward(as_rows(dx), as_rows(g), as_rows(y))
    return dx, None
