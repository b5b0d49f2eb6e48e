"""Softmax-cross-entropy of a batch: the loss, and in the same pass the gradient."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.backend import Array, int64, namespace
from tinygrad_mmb.kernels.cpu.native import cpu_kernel, native
from tinygrad_mmb.kernels.launch import contiguous
from tinygrad_mmb.kernels.registry import WithExtras


def takes(
    x: Array, t: Array, w: Array | None, ignored: int, mean: bool, will_be_asked: bool
) -> bool:
    """Whether x is (N, C), in float32 or float64 as the weights are, and not empty."""
    if x.ndim != 2 or not x.size or x.dtype.char not in "fd" or t.dtype != int64:
        return False
    return w is None or w.dtype == x.dtype


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
