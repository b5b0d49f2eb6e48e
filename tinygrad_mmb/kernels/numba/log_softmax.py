"""The logarithm of softmax: yⱼ = xⱼ - max x - ln Σₖ exp(xₖ - max x), and ∂L/∂xⱼ = gⱼ - eʸʲ Σₖ gₖ.

As softmax.py: loops over one row after the other, and NumPy's exp between them.
"""

from __future__ import annotations

import math
from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.numba.compile import jit_sums, numba_kernel
from tinygrad_mmb.kernels.numba.softmax import as_rows, fits, runs_along_rows, shifted


@jit_sums
def subtract_log_of_sum(y: Any, e: Any) -> None:
    rows, cols = y.shape
    for row in range(rows):
        total = 0.0  # float64: a float32 would lose digits over thousands of numbers
        for j in range(cols):
            total += e[row, j]
        log_total = y.dtype.type(math.log(total))
        for j in range(cols):
            y[row, j] -= log_total


@jit_sums
def log_softmax_rows_backward(dx: Any, g: Any) -> None:
    rows, cols = g.shape
    for row in range(rows):
        total = 0.0
        for j in range(cols):
            total += g[row, j]
        sum_g = g.dtype.type(total)
        for j in range(cols):
            dx[row, j] = g[row, j] - dx[row, j] * sum_g  # dx holds eʸ before


@numba_kernel("LogSoftmax", accepts=runs_along_rows)
def log_softmax(x: Array, dim: int) -> Array:
    y = shifted(as_rows(x))
    subtract_log_of_sum(y, namespace(x).exp(y))
    return y.reshape(x.shape)


@numba_kernel("LogSoftmax.backward", accepts=fits)
def log_softmax_backward(g: Array, y: Array, needs_input_grad: Any) -> tuple[Array, None]:
    dx: Array = namespace(y).exp(as_rows(y))
    log_softmax_rows_backward(dx, as_rows(g))
    return dx.reshape(y.shape), None
