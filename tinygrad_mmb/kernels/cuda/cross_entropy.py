"""Softmax-cross-entropy: the loss, and with it the gradient that a mean of the losses asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.cuda.softmax import THREADS
from tinygrad_mmb.kernels.launch import (
    contiguous,
    cuda_function,
    cuda_kernel,
    float32,
    float64,
    int32,
    int64,
    is_float,
    suffix,
)
from tinygrad_mmb.kernels.launch.rows import LONGEST, around, plan_rows, shared_memory
from tinygrad_mmb.kernels.registry import WithExtras

HELD = {2: 2, 4: 8, 8: 2}  # packs that a thread keeps in registers, by bytes of a number


@dataclass
class Written:
    """The gradient that forward wrote for losses whose gradients are `expected`, until it is used.

    Backward completes it in place and hands it on; a second backward computes a new one.
    """

    gradient: Array | None
    expected: float


def has_classes(x: Array, t: Array, w: Array | None) -> bool:
    """Whether x is (N, C, ...) with C > 0, and the classes t and weights w are (N, ...)."""
    if not is_float(x, w) or x.ndim < 2 or not 0 < x.shape[1] < LONGEST:
        return False
    samples = (x.shape[0], *x.shape[2:])
    fits = t.shape == samples and (w is None or w.shape == samples)
    return fits and t.dtype.name == "int64" and math.prod(samples) < LONGEST


def has_gradient(
    g: Array, x: Array, t: Array, w: Array | None, found: Any, needs_input_grad: Sequence[bool]
) -> bool:
    """Whether only the logits need a gradient: no kernel computes that of the weights."""
    return is_float(g, x) and not needs_input_grad[2]


@cuda_kernel("CrossEntropy", accepts=has_classes)
def cross_entropy(x: Array, t: Array, w: Array | None) -> WithExtras:
    xp = namespace(x)
    x, loss = contiguous(x), xp.empty(t.shape, dtype=x.dtype)
    found = Written(None, math.nan)
    if x.itemsize > 2:  # float16 would lose a gradient times 1 / samples
        found = Written(xp.empty_like(x), 1.0 / max(t.size, 1))
    run(loss, found.gradient, x, t, w, None, found.expected)
    return WithExtras(loss, found)


@cuda_kernel("CrossEntropy.backward", accepts=has_gradient)
def cross_entropy_backward(
    g: Array, x: Array, t: Array, w: Array | None, found: Written, needs_input_grad: Any
) -> tuple[Array, None, None]:
    x, dx, expected = contiguous(x), found.gradient, found.expected
    if dx is None:
        dx, expected = namespace(x).empty_like(x), math.nan  # equal to no g: all rows are computed
    found.gradient = None
    run(None, dx, x, t, w, g, expected)
    return dx, None, None


def run(
    loss: Array | None,
    dx: Array | None,
    x: Array,
    t: Array,
    w: Array | None,
    g: Array | None,
    expected: float,
) -> None:
    """Launch the kernel: the loss, and the gradient for those rows whose g is not `expected`."""
    outer, n, inner = around(x.shape, 1)
    t, w, g = contiguous(t), *[None if a is None else contiguous(a) for a in (w, g)]
    c_expected = float64(expected) if x.itemsize == 8 else float32(expected)
    arguments = loss, dx, x, t, w, g, c_expected
    if inner != 1:
        count = outer * inner
        cuda_function("cross_entropy.cu", f"cross_entropy_columns_{suffix(x)}")(
            (-(-count // THREADS),), (THREADS,), (*arguments, int64(count), int32(n), int64(inner))
        )
        return
    plan = plan_rows(n, x.itemsize, HELD[x.itemsize], shared_memory(x))
    sizes = int32(outer), int32(n), int32(plan.team), int32(plan.slots)
    cuda_function("cross_entropy.cu", f"cross_entropy_rows_{plan.kind}_{suffix(x)}")(
        plan.grid(outer), (plan.threads,), (*arguments, *sizes), plan.shared
    )
