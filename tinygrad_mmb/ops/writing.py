"""What writing into memory means as an op: autograd/inplace.py writes and records one of these."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.autograd.views import Step, replay
from tinygrad_mmb.backend import Array, as_array, empty_in_layout_of, namespace

__all__ = ["LaidOut", "Overwrite", "Replaced", "unchanged"]


class Overwrite(Function):
    """y = source, in the shape and dtype of x.   ∂L/∂x = 0 (it is gone), ∂L/∂source = g."""

    @staticmethod
    def forward(x: Array, source: Any) -> Array:
        y = empty_in_layout_of(x)
        y[...] = source
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.shape = inputs[0].shape

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return ops.zeros_of(g, ctx.shape) if ctx.needs_input_grad[0] else None, g

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), rng.standard_normal(n)
        yield rng.standard_normal((n, n)), 2.0


class LaidOut(Function):
    """y = x in new memory with the given strides, so that views fall where they did before."""

    @staticmethod
    def forward(x: Array, strides: tuple[int, ...]) -> Array:
        xp = namespace(x)
        if not x.size or (x.strides == strides and x.flags.c_contiguous):
            return xp.array(x, order="C")
        # Elements of a stride lie itemsize apart at least, so this much memory holds them all.
        reach = 1 + sum([(n - 1) * s for n, s in zip(x.shape, strides, strict=True)]) // x.itemsize
        memory = xp.zeros(reach, x.dtype)
        y = xp.lib.stride_tricks.as_strided(memory, x.shape, strides)
        y[...] = x
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 3)), (8, 8 * n)
        yield rng.standard_normal((n, 3)), (24, 8)


class Replaced(Function):
    """y = base, whose part at `path` has become `value`.

    ∂L/∂base = g with a hole of zeros there, ∂L/∂value = g there.
    """

    @staticmethod
    def forward(base: Array, value: Array, path: tuple[Step, ...]) -> Array:
        return base  # already written

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        base, _, ctx.path = inputs
        ctx.save_for_backward(None)  # so that a second backward is refused, as in PyTorch
        itemsize = base.array.itemsize
        ctx.strides = tuple([s // itemsize for s in base.array.strides])

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        need_base, need_value, _ = ctx.needs_input_grad
        _ = ctx.saved_tensors  # raises if an earlier pass freed it
        there = replay(ctx.path, g) if need_value else None
        if not need_base:
            return None, there, None
        itemsize = g.dtype.itemsize
        rest = LaidOut.apply(g, tuple([s * itemsize for s in ctx.strides]))
        replay(ctx.path, rest)[...] = 0.0
        return rest, there, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        return iter(())  # its first argument is memory, not a value: random programs test it


class Unchanged(Function):
    """y = x, a result whose gradient is refused once one of `needed` was written over.

    PyTorch refuses where its formula needs them, though ours may not.
    """

    @staticmethod
    def forward(x: Array, *needed: Any) -> Array:
        return x

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g, *[None for _ in ctx.saved_tensors]

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), as_array([1, 2])


def unchanged(x: Any, *needed: Any) -> Any:
    """x; its gradient needs these Tensors (or None) as they are now."""
    if not getattr(x, "requires_grad", False):
        return x
    y = Unchanged.apply(x, *[t.detach() for t in needed if isinstance(t, Tensor)])
    y._storage = x.memory
    return y
