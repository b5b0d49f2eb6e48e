"""Softmax-cross-entropy of rows of logits x and their classes t, with weights w if there are any:

    L = w · (ln Σₖ exp(xₖ - max x) - (x_t - max x)),    ∂L/∂xₖ = w · (softmax(x)ₖ - [k = t])

The softmax is there as soon as the loss is, so forward writes ∂L/∂x as well, and backward only
multiplies it by g: exp is computed once for each number instead of twice. It is NumPy's, see
softmax.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.launch.arguments import contiguous, is_float
from tinygrad_mmb.kernels.numba.compile import jit, jit_sums, numba_kernel
from tinygrad_mmb.kernels.numba.softmax import shifted
from tinygrad_mmb.kernels.registry import WithExtras


@jit
def pick(picked: Any, x: Any, t: Any) -> None:
    for row in range(t.size):
        picked[row] = x[row, t[row]]


@jit_sums
def loss_and_gradient(loss: Any, dx: Any, t: Any, w: Any) -> None:
    """On the way in, loss holds x_t - max x, and dx holds exp(x - max x)."""
    rows, classes = dx.shape
    for row in range(rows):
        total = 0.0  # float64: a float32 would lose digits over thousands of classes
        for k in range(classes):
            total += dx[row, k]
        weight = dx.dtype.type(1.0 if w is None else w[row])
        loss[row] = weight * (math.log(total) - loss[row])
        scale = dx.dtype.type(weight / total)
        for k in range(classes):
            dx[row, k] *= scale
        dx[row, t[row]] -= weight


@jit
def scale_rows(dx: Any, gradient: Any, g: Any) -> None:
    rows, classes = gradient.shape
    for row in range(rows):
        for k in range(classes):
            dx[row, k] = g[row] * gradient[row, k]


def has_classes(x: Array, t: Array, w: Array | None) -> bool:
    """Whether x is (N, C) and not empty, and the classes t and weights w are (N,)."""
    if not is_float(x, w, wide=True) or x.ndim != 2 or not x.size or t.dtype.name != "int64":
        return False
    if t.shape != x.shape[:1] or (w is not None and w.shape != t.shape):
        return False
    return bool(t.min() >= 0 and t.max() < x.shape[1])  # the loop would read beyond the row


def has_gradient(
    g: Array,
    x: Array,
    t: Array,
    w: Array | None,
    gradient: Array,
    needs_input_grad: Sequence[bool],
) -> bool:
    """Whether only the logits need a gradient: that of the weights is left to the reference."""
    return is_float(g, x, wide=True) and not needs_input_grad[2]


@numba_kernel("CrossEntropy", accepts=has_classes)
def cross_entropy(x: Array, t: Array, w: Array | None) -> WithExtras:
    loss: Array = namespace(x).empty(t.shape, x.dtype)
    gradient, t, w = shifted(contiguous(x)), contiguous(t), None if w is None else contiguous(w)
    pick(loss, gradient, t)
    namespace(x).exp(gradient, out=gradient)
    loss_and_gradient(loss, gradient, t, w)
    return WithExtras(loss, gradient)


@numba_kernel("CrossEntropy.backward", accepts=has_gradient)
def cross_entropy_backward(
    g: Array, x: Array, t: Array, w: Array | None, gradient: Array, needs_input_grad: Any
) -> tuple[Array, None, None]:
    dx = namespace(x).empty_like(gradient)  # the gradient stays: the graph may be walked again
    scale_rows(dx, gradient, contiguous(g))
    return dx, None, None
