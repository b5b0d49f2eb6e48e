"""Softmax-cross-entropy: of a batch, with the gradient in the same pass; and of single samples.

The losses of samples are also what a batch of (N, C, d1, ...) is made of, and reduction="none".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array, int64, namespace
from tinygrad_mmb.kernels.cpu.native import are_floats, cpu_kernel, native
from tinygrad_mmb.kernels.launch import contiguous
from tinygrad_mmb.kernels.launch.rows import around
from tinygrad_mmb.kernels.registry import WithExtras


def takes(
    x: Array, t: Array, w: Array | None, ignored: int, mean: bool, will_be_asked: bool
) -> bool:
    """Whether x is (N, C), in float32 or float64 as the weights are, and not empty."""
    return are_floats(x, w) and x.ndim == 2 and x.size > 0 and are_classes(t)


@cpu_kernel("BatchCrossEntropy", accepts=takes)
def batch_cross_entropy(
    x: Array, t: Array, w: Array | None, ignored: int, mean: bool, will_be_asked: bool
) -> WithExtras:
    x = contiguous(x)
    dx = namespace(x).empty(x.shape, x.dtype) if will_be_asked else None
    w = None if w is None else contiguous(w)
    loss = namespace(x).empty((), x.dtype)
    native.cross_entropy(loss, dx, x, contiguous(t), w, ignored, mean)
    return WithExtras(loss, dx)


def are_classes(t: Array) -> bool:
    """Whether the kernels read these: int64 where the processor expects it."""
    return t.dtype == int64 and t.flags.aligned


def has_gradient(*args: Any, needs_input_grad: list[bool]) -> bool:
    """Whether forward has written one. The weights are constants, as in PyTorch."""
    return len(args) == 8


@cpu_kernel("BatchCrossEntropy.backward", accepts=has_gradient)
def batch_cross_entropy_backward(
    g: Array,
    x: Array,
    t: Array,
    w: Array | None,
    ignored: int,
    mean: bool,
    will_be_asked: bool,
    dx: Array,
    needs_input_grad: Any,
) -> tuple[Array | None, ...]:
    """What forward has written; times g, which is 1 where the loss is what one starts from."""
    return dx if g == 1.0 else dx * g, None, None, None, None, None


def has_classes(x: Array, t: Array, w: Array | None) -> bool:
    """Whether x is (N, C, ...), not empty, and the classes t and weights w are (N, ...)."""
    if not are_floats(x, w) or x.ndim < 2 or not x.size or not are_classes(t):
        return False
    samples = (x.shape[0], *x.shape[2:])
    return t.shape == samples and (w is None or w.shape == samples)


def needs_no_weights(
    g: Array, x: Array, t: Array, w: Any, kept: Any, needs_input_grad: Sequence[bool]
) -> bool:
    """Whether only the logits need a gradient: no kernel computes that of the weights."""
    return are_floats(g, x) and not needs_input_grad[2]


@cpu_kernel("CrossEntropy", accepts=has_classes)
def cross_entropy(x: Array, t: Array, w: Array | None) -> WithExtras:
    loss, top, sums = (namespace(x).empty(t.shape, x.dtype) for _ in range(3))
    arrays = contiguous(x), contiguous(t), None if w is None else contiguous(w)
    native.cross_entropy_of_samples(loss, top, sums, *arrays, *around(x.shape, 1))
    return WithExtras(loss, (top, sums))


@cpu_kernel("CrossEntropy.backward", accepts=needs_no_weights)
def cross_entropy_backward(
    g: Array, x: Array, t: Array, w: Array | None, kept: tuple[Array, Array], needs_input_grad: Any
) -> tuple[Array, None, None]:
    dx = namespace(x).empty(x.shape, x.dtype)
    arrays = contiguous(x), contiguous(t), None if w is None else contiguous(w)
    sizes = around(x.shape, 1)
    native.cross_entropy_of_samples_backward(dx, contiguous(g), *kept, *arrays, *sizes)
    return dx, None, None
