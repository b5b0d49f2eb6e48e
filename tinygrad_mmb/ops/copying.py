"""Copies, casts and moves, the sum that undoes broadcasting, and how new memory is laid out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import backend, ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import Tensor, X, wrap
from tinygrad_mmb.backend import Array, DType, cast_in_layout, empty_in_layout_of, namespace

__all__ = ["alias", "clone", "contiguous", "sum_to", "to", "to_device", "zeros_of"]


class SumTo(Function):
    """y = x summed over what broadcasting from `shape` had repeated: the opposite of Expand."""

    @staticmethod
    def forward(x: Array, shape: tuple[int, ...]) -> Array:
        lead = x.ndim - len(shape)
        axes = (*range(lead), *[lead + i for i, n in enumerate(shape) if n == 1])
        y = x.sum(axis=axes, keepdims=True)
        if lead < 0 or y.shape[lead:] != shape:  # reshape would take (2, 3) for (3, 2)
            raise RuntimeError(f"a tensor of shape {x.shape} cannot be summed to shape {shape}")
        return y.reshape(shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.shape = inputs[0].shape

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return ops.expand_to(g, ctx.shape), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((2, n, 3)), (n, 1)
        yield rng.standard_normal((n, 3)), ()


class To(Function):
    """The same numbers in another dtype. The engine casts the gradient back."""

    @staticmethod
    def forward(x: Array, dtype: DType) -> Array:
        return cast_in_layout(x, dtype)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), backend.float64


class ToDevice(Function):
    """The same numbers at another place."""

    @staticmethod
    def forward(x: Array, where: Any) -> Array:
        return backend.to_device(x, where)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.origin = inputs[0].device

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return ToDevice.apply(g, ctx.origin), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), backend.get_default_device()


class Clone(Function):
    """y = x in memory of its own; `order` is "K" to keep the layout, "C" to be contiguous."""

    @staticmethod
    def forward(x: Array, order: str) -> Array:
        if order == "C" or x.flags.c_contiguous:
            return namespace(x).array(x, order="C")
        y = empty_in_layout_of(x)
        y[...] = x
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), "K"
        yield rng.standard_normal((n, n)).T, "C"


class Alias(Function):
    """x as another variable of the graph over the same memory."""

    view = True

    @staticmethod
    def forward(x: Array) -> Array:
        return x[...]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield (rng.standard_normal((n, n)),)


def sum_to(x: X, shape: tuple[int, ...]) -> X:
    """x summed over what broadcasting from `shape` had repeated."""
    return SumTo.apply(x, shape)


def zeros_of(like: X, shape: tuple[int, ...]) -> X:
    """Zeros of a shape, in the dtype and at the place of `like`: gradients begin with them."""
    if isinstance(like, Tensor):
        return wrap(namespace(like.array).zeros(shape, like.array.dtype))
    return namespace(like).zeros(shape, like.dtype)


def to(x: X, dtype: DType) -> X:
    """x in another dtype; x itself if it has it. Tensor.to takes devices too."""
    if x.dtype == dtype:
        return x
    if isinstance(x, Tensor) and dtype.kind != "f":
        return wrap(To.forward(x.array, dtype))  # nothing to record: no gradient comes back
    return To.apply(x, dtype)


def to_device(x: X, device: Any) -> X:
    """x at another place, by a copy through which gradients flow."""
    return ToDevice.apply(x, device)


@method
def clone(input: X, *, memory_format: Any = None) -> X:
    """A copy in memory of its own, through which gradients flow."""
    if memory_format is not None:
        raise NotImplementedError(
            f"clone(memory_format={memory_format}): only the default is built"
        )
    return Clone.apply(input, "K")


@method
def contiguous(x: X) -> X:
    """x with its elements one after the other in memory; x itself if they are."""
    array: Any = getattr(x, "array", x)
    return x if array.flags.c_contiguous else Clone.apply(x, "C")


def alias(x: X) -> X:
    """x as another variable over the same memory."""
    return Alias.apply(x)
