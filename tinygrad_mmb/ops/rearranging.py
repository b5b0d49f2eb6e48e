"""Rearranging: copies with the elements repeated, reversed, masked to a triangle, or cast."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import backend, ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import Tensor, X, wrap
from tinygrad_mmb.backend import Array, DType, namespace
from tinygrad_mmb.ops.views import dim_of, sizes_of

__all__ = [
    "alias", "clone", "contiguous", "diag", "flip", "repeat", "roll", "sum_to", "tile", "to",
    "to_device",    "tril", "triu", "zeros_of",
]  # fmt: skip


def empty_in_layout_of(x: Array, dtype: DType | None = None) -> Array:
    """New memory without gaps for the shape of x, its dimensions in the same order as in x.

    PyTorch's rule, which decides whether a later reshape is a view: larger strides outside; a
    stride of 0 (after expand) tells nothing, so that dimension stays where it stands.
    """
    xp = namespace(x)
    dtype = x.dtype if dtype is None else dtype
    if x.flags.c_contiguous:
        return xp.empty(x.shape, dtype)
    order = list(range(x.ndim))[::-1]  # innermost first
    for i in range(1, x.ndim):
        inner = i
        for outer in range(i - 1, -1, -1):
            a, b = order[outer], order[inner]  # a is further inside
            s, t = x.strides[a], x.strides[b]
            if s == 0 or t == 0 or (s == t and x.shape[a] <= x.shape[b]):
                continue  # tells nothing
            if s < t:
                break
            order[outer], order[inner] = b, a
            inner = outer
    dims = order[::-1]
    memory = xp.empty([x.shape[d] for d in dims], dtype)
    return memory.transpose([dims.index(d) for d in range(x.ndim)])


class SumTo(Function):
    """y = x summed over what broadcasting from `shape` had repeated: the opposite of Expand."""

    @staticmethod
    def forward(x: Array, shape: tuple[int, ...]) -> Array:
        lead = x.ndim - len(shape)
        axes = (*range(lead), *[lead + i for i, n in enumerate(shape) if n == 1])
        return x.sum(axis=axes).reshape(shape)

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
        if x.flags.c_contiguous:
            return x.astype(dtype)
        y = empty_in_layout_of(x, dtype)
        y[...] = x
        return y

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
        yield rng.standard_normal((n, n)), "cpu"


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


class Flip(Function):
    """The elements in reversed order along some dimensions.   ∂L/∂x = g reversed."""

    @staticmethod
    def forward(x: Array, dims: tuple[int, ...]) -> Array:
        y = empty_in_layout_of(x)
        y[...] = namespace(x).flip(x, dims)
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.dims = inputs[1]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return Flip.apply(g, ctx.dims), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), (1,)
        yield rng.standard_normal((n, 2, 3)), (0, 2)


class Roll(Function):
    """The elements moved along some dimensions, those pushed out re-entering at the other end."""

    @staticmethod
    def forward(x: Array, shifts: tuple[int, ...], dims: tuple[int, ...]) -> Array:
        xp = namespace(x)
        return xp.ascontiguousarray(xp.roll(x, shifts, dims)).reshape(x.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        _, ctx.shifts, ctx.dims = inputs

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return Roll.apply(g, tuple([-s for s in ctx.shifts]), ctx.dims), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), (1, -2), (0, 1)
        yield rng.standard_normal((n, 3)), (5,), (1,)


class Repeat(Function):
    """x laid side by side: size nᵢ becomes rᵢ·nᵢ.   ∂L/∂x = g summed over the copies."""

    @staticmethod
    def forward(x: Array, repeats: tuple[int, ...]) -> Array:
        y = namespace(x).tile(x, repeats)
        return y.copy() if y is x or y.base is x else y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.repeats = inputs
        ctx.shape = x.shape

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        sizes = (*(1,) * (len(ctx.repeats) - len(ctx.shape)), *ctx.shape)
        pairs = [k for pair in zip(ctx.repeats, sizes, strict=True) for k in pair]
        copies = ops.reshape(g, tuple(pairs))
        summed = ops.sum(copies, tuple(range(0, len(pairs), 2))) if pairs else copies
        return ops.reshape(summed, ctx.shape), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 3)), (2, 3)
        yield rng.standard_normal((n, 3)), (2, 1, 2)
        yield rng.standard_normal(()), (3,)


class Tril(Function):
    """x below and on the k-th diagonal, 0 elsewhere.   ∂L/∂x = the same part of g."""

    @staticmethod
    def forward(x: Array, k: int) -> Array:
        return namespace(x).ascontiguousarray(namespace(x).tril(x, k))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.k = inputs[1]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return Tril.apply(g, ctx.k), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), 0
        yield rng.standard_normal((2, n, 3)), -1


class Triu(Function):
    """x above and on the k-th diagonal, 0 elsewhere.   ∂L/∂x = the same part of g."""

    @staticmethod
    def forward(x: Array, k: int) -> Array:
        return namespace(x).ascontiguousarray(namespace(x).triu(x, k))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.k = inputs[1]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return Triu.apply(g, ctx.k), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), 0
        yield rng.standard_normal((2, n, 3)), 1


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
def clone(x: X, *, memory_format: Any = None) -> X:
    """A copy in memory of its own, through which gradients flow."""
    if memory_format is not None:
        raise NotImplementedError(
            f"clone(memory_format={memory_format}): only the default is built"
        )
    return Clone.apply(x, "K")


@method
def contiguous(x: X) -> X:
    """x with its elements one after the other in memory; x itself if they are."""
    array: Any = getattr(x, "array", x)
    return x if array.flags.c_contiguous else Clone.apply(x, "C")


def alias(x: X) -> X:
    """x as another variable over the same memory."""
    return Alias.apply(x)


@method
def flip(x: X, dims: Any, *more: Any) -> X:
    """Reversed along `dims`, in memory of its own."""
    listed = sizes_of((dims, *more), "dims")
    checked = [dim_of(d, x.ndim) for d in listed]
    for d in checked:
        if checked.count(d) > 1:
            raise RuntimeError(f"flip: dim {d} appears multiple times in the list of dims {listed}")
    return Flip.apply(x, tuple(checked) if x.ndim else ())


@method
def roll(x: X, shifts: Any, dims: Any = None) -> X:
    """Moved by `shifts` along `dims`, round and round; without dims, as if x were flat.

    Raises: RuntimeError if there are not as many shifts as dims.
    """
    by = tuple(shifts) if isinstance(shifts, (tuple, list)) else (operator.index(shifts),)
    along = dims if dims is not None else ()
    along = tuple(along) if isinstance(along, (tuple, list)) else (along,)
    if not along:
        if len(by) != 1:
            raise RuntimeError(
                f"shifts and dimensions must align. shifts: {len(by)}, dims:{len(along)}"
            )
        return ops.reshape(Roll.apply(ops.reshape(x, (-1,)), by, (0,)), tuple(x.shape))
    if len(by) != len(along) or not by:
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(by)}, dims:{len(along)}"
        )
    if not x.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    return Roll.apply(x, by, tuple([dim_of(d, x.ndim) for d in along]))


@method
def repeat(x: X, repeats: Any, *more: Any) -> X:
    """x laid side by side, repeats[i] times along dimension i; more repeats make new dimensions."""
    times = sizes_of((repeats, *more), "repeats")
    if len(times) < x.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            f"tensor: {list(times)} for shape {list(x.shape)}"
        )
    if times and min(times) < 0:
        raise RuntimeError(f"repeat: trying to create a tensor with negative dimension: {times}")
    return Repeat.apply(x, times)


@method
def tile(x: X, dims: Any, *more: Any) -> X:
    """As `repeat`; missing leading repeats are 1."""
    times = sizes_of((dims, *more), "dims")
    return repeat(x, (*(1,) * (x.ndim - len(times)), *times))


def _refuse_vector(x: Any, name: str) -> None:
    if x.ndim < 2:
        raise RuntimeError(
            f"{name}: input tensor must have at least 2 dimensions, but its shape is {list(x.shape)}"
        )


@method(inplace=True)
def tril(x: X, diagonal: int = 0) -> X:
    """The lower triangle of the last two dimensions; the rest is 0."""
    _refuse_vector(x, "tril")
    return Tril.apply(x, operator.index(diagonal))


@method(inplace=True)
def triu(x: X, diagonal: int = 0) -> X:
    """The upper triangle of the last two dimensions; the rest is 0."""
    _refuse_vector(x, "triu")
    return Triu.apply(x, operator.index(diagonal))


@method
def diag(x: X, diagonal: int = 0) -> X:
    """The diagonal of a matrix, in memory of its own, or the matrix with a vector as diagonal."""
    k = operator.index(diagonal)
    if x.ndim == 1:
        n = math.prod(x.shape) + abs(k)
        return ops.DiagonalOnly.apply(x, (n, n), k, 0, 1)
    if x.ndim == 2:
        return Clone.apply(ops.diagonal(x, k), "C")
    raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {x.ndim}D: {list(x.shape)}")
