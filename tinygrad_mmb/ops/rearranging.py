"""Rearranging: copies with the elements repeated, reversed, moved round, or cut to a triangle."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import X
from tinygrad_mmb.backend import Array, empty_in_layout_of, namespace
from tinygrad_mmb.ops.copying import Clone
from tinygrad_mmb.ops.views import dim_of, sizes_of, whole

__all__ = ["diag", "flip", "repeat", "roll", "tile", "tril", "triu"]


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

    contiguous = True

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


@method(sizes=True)
def flip(input: X, dims: Any) -> X:
    """Reversed along `dims`, in memory of its own."""
    listed = sizes_of(dims, "dims")
    checked = [dim_of(d, input.ndim) for d in listed]
    for d in checked:
        if checked.count(d) > 1:
            raise RuntimeError(f"flip: dim {d} appears multiple times in the list of dims {listed}")
    return Flip.apply(input, tuple(checked) if input.ndim else ())


@method
def roll(input: X, shifts: Any, dims: Any = None) -> X:
    """Moved by `shifts` along `dims`, round and round; without dims, as if input were flat.

    Raises: RuntimeError if there are not as many shifts as dims.
    """
    by, along = (
        sizes_of(v if isinstance(v, (tuple, list)) else (v,), name)
        for v, name in ((shifts, "shifts"), (() if dims is None else dims, "dims"))
    )
    if not along:
        if len(by) != 1:
            raise RuntimeError(
                f"shifts and dimensions must align. shifts: {len(by)}, dims:{len(along)}"
            )
        return ops.reshape(Roll.apply(ops.reshape(input, (-1,)), by, (0,)), tuple(input.shape))
    if len(by) != len(along) or not by:
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(by)}, dims:{len(along)}"
        )
    if not input.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    return Roll.apply(input, by, tuple([dim_of(d, input.ndim) for d in along]))


@method(sizes=True)
def repeat(x: X, repeats: Any) -> X:
    """x laid side by side, repeats[i] times along dimension i; more repeats make new dimensions."""
    times = sizes_of(repeats, "repeats")
    if len(times) < x.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            f"tensor: {list(times)} for shape {list(x.shape)}"
        )
    if times and min(times) < 0:
        raise RuntimeError(f"repeat: trying to create a tensor with negative dimension: {times}")
    return Repeat.apply(x, times)


@method(sizes=True)
def tile(input: X, dims: Any) -> X:
    """As `repeat`; missing leading repeats are 1."""
    times: tuple[int, ...] = sizes_of(dims, "dims")
    return repeat(input, (*(1,) * (input.ndim - len(times)), *times))


def _refuse_vector(x: Any, name: str) -> None:
    if x.ndim < 2:
        raise RuntimeError(
            f"{name}: input tensor must have at least 2 dimensions, but is {list(x.shape)}"
        )


@method(inplace=True)
def tril(input: X, diagonal: int = 0) -> X:
    """The lower triangle of the last two dimensions; the rest is 0."""
    _refuse_vector(input, "tril")
    return Tril.apply(input, whole(diagonal, "diagonal"))


@method(inplace=True)
def triu(input: X, diagonal: int = 0) -> X:
    """The upper triangle of the last two dimensions; the rest is 0."""
    _refuse_vector(input, "triu")
    return Triu.apply(input, whole(diagonal, "diagonal"))


@method
def diag(input: X, diagonal: int = 0) -> X:
    """The diagonal of a matrix, in memory of its own, or the matrix with a vector as diagonal."""
    k = whole(diagonal, "diagonal")
    if input.ndim == 1:
        n = math.prod(input.shape) + abs(k)
        return ops.DiagonalOnly.apply(input, (n, n), k, 0, 1)
    if input.ndim == 2:
        return Clone.apply(ops.diagonal(input, k), "C")
    raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D: {list(input.shape)}")
