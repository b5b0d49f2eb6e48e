"""The largest and the smallest, and where they are. NaN counts as both, as in PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import (
    Array,
    as_array,
    int64,
    is_array,
    largest,
    namespace,
    smallest,
)
from tinygrad_mmb.ops.dimensions import (
    NOT_GIVEN,
    Dims,
    count,
    dims_of,
    require_bool,
    require_dim,
    require_tensor,
    spread,
)
from tinygrad_mmb.ops.gathering import AddAlong
from tinygrad_mmb.ops.views import dim_of

__all__ = ["amax", "amin", "argmax", "argmin", "max", "min"]


class ValuesIndices(NamedTuple):
    """What max, min, sort and topk along a dimension return."""

    values: Any
    indices: Any


class Extreme(Function):
    """y = the largest (or smallest) x over some dimensions; equal ones share g in equal parts."""

    contiguous = True

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.dims, _ = inputs
        ctx.save_for_backward(x, output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_tensors
        y, g = spread(y, x.shape, ctx.dims), spread(g, x.shape, ctx.dims)
        reached = ops.to(ops.eq(x, y), x.dtype)
        return g * reached / ops.sum(reached, ctx.dims, True), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), None, False
        yield rng.standard_normal((n, 3, 2)), (0, 2), True
        yield rng.standard_normal((n, 3, 2)).transpose(2, 0, 1), (1,), False


class Amax(Extreme):
    """y = the largest x over some dimensions; equal ones share g in equal parts."""

    @staticmethod
    def forward(x: Array, dims: Dims, keepdim: bool) -> Array:
        return largest(x, dims, keepdim)


class Amin(Extreme):
    """y = the smallest x over some dimensions; equal ones share g in equal parts."""

    @staticmethod
    def forward(x: Array, dims: Dims, keepdim: bool) -> Array:
        return smallest(x, dims, keepdim)


class OneExtreme(Function):
    """y = the largest (or smallest) x of all; equal ones, and all NaN, share g in equal parts."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(inputs[0], output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_tensors
        reached = ops.logical_or(ops.eq(x, y), ops.logical_and(ops.isnan(x), ops.isnan(y)))
        return ops.where(reached, g / ops.sum(ops.to(reached, x.dtype)), 0.0)

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield (rng.standard_normal((n, n)),)
        yield (rng.standard_normal(()),)


class MaxOfAll(OneExtreme):
    """y = the largest x of all; equal ones, and all NaN, share g in equal parts."""

    @staticmethod
    def forward(x: Array) -> Array:
        return largest(x)


class MinOfAll(OneExtreme):
    """y = the smallest x of all; equal ones, and all NaN, share g in equal parts."""

    @staticmethod
    def forward(x: Array) -> Array:
        return smallest(x)


class ExtremeAlong(Function):
    """(values, indices) of the first largest or smallest along a dimension, which gets all of g."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.dim, ctx.keepdim = inputs
        ctx.shape = x.shape
        ctx.save_for_backward(output[1])

    @staticmethod
    def backward(ctx: Any, g: Any, _: Any) -> Any:
        (indices,) = ctx.saved_tensors
        if not ctx.keepdim and ctx.shape:
            g, indices = ops.unsqueeze(g, ctx.dim), ops.unsqueeze(indices, ctx.dim)
        return AddAlong.apply(g, ctx.shape, ctx.dim, indices, True), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 3, 2)), 1, False
        yield rng.standard_normal((n, 3)).T, 0, True
        yield rng.standard_normal(()), 0, False


class MaxAlong(ExtremeAlong):
    """(values, indices) of the first largest along a dimension, which gets all of g."""

    @staticmethod
    def forward(x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
        return picked(x, namespace(x).argmax, dim, keepdim)


class MinAlong(ExtremeAlong):
    """(values, indices) of the first smallest along a dimension, which gets all of g."""

    @staticmethod
    def forward(x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
        return picked(x, namespace(x).argmin, dim, keepdim)


class Argmax(Function):
    """Where the first largest x is, along a dimension or in x.flatten(); a first NaN wins."""

    @staticmethod
    def forward(x: Array, dim: int | None, keepdim: bool) -> Array:
        return place(x, namespace(x).argmax, dim, keepdim)

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 3)), 1, False
        yield rng.standard_normal((n, 3)), None, True


class Argmin(Function):
    """Where the first smallest x is, along a dimension or in x.flatten(); a first NaN wins."""

    @staticmethod
    def forward(x: Array, dim: int | None, keepdim: bool) -> Array:
        return place(x, namespace(x).argmin, dim, keepdim)

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield from Argmax.samples(rng, n)


def picked(x: Array, find: Any, dim: int, keepdim: bool) -> tuple[Array, Array]:
    """The values that `find` (argmax or argmin) points at, and where they are."""
    if not x.ndim:
        return x.copy(), namespace(x).zeros((), int64)
    indices = find(x, axis=dim, keepdims=True).astype(int64, copy=False)
    values = namespace(x).take_along_axis(x, indices, axis=dim)
    if keepdim:
        return values, indices
    return values.squeeze(axis=dim), indices.squeeze(axis=dim)


def place(x: Array, find: Any, dim: int | None, keepdim: bool) -> Array:
    """What `find` (argmax or argmin) says, in int64."""
    y = find(x, axis=dim if x.ndim else None, keepdims=keepdim)
    return as_array(y).astype(int64, copy=False)


def require_elements(name: str, x: Any, dim: Any) -> None:
    """Raise IndexError if one of the dimensions to reduce is empty: there is no largest of nothing.

    RuntimeError if all are meant, as in PyTorch.
    """
    for d in () if dim is None else dim:
        if x.ndim and not x.shape[d]:
            raise IndexError(
                f"{name}(): Expected reduction dim {d} to have non-zero size, but x has shape "
                f"{tuple(x.shape)}."
            )
    if dim is None and not count(x.shape, None):
        kind = IndexError if name.startswith("arg") else RuntimeError
        raise kind(
            f"{name}(): x has shape {tuple(x.shape)}, so there is nothing to choose from. Specify "
            "the reduction dim with the 'dim' argument, one that is not empty."
        )


@method
def amax(input: X, dim: Any = (), keepdim: bool = False) -> X:
    """The largest input over `dim`, or over all; equal ones share the gradient."""
    require_tensor("amax", input)
    require_bool("amax", keepdim)
    dims = dims_of(dim, input.ndim)
    require_elements("amax", input, dims)
    return Amax.apply(input, dims, keepdim)


@method
def amin(input: X, dim: Any = (), keepdim: bool = False) -> X:
    """The smallest input over `dim`, or over all; equal ones share the gradient."""
    require_tensor("amin", input)
    require_bool("amin", keepdim)
    dims = dims_of(dim, input.ndim)
    require_elements("amin", input, dims)
    return Amin.apply(input, dims, keepdim)


@method
def max(input: Any, dim: Any = ..., keepdim: bool = False, *, other: Any = ...) -> Any:
    """The largest of all; with `dim`: (values, indices); with another Tensor: elementwise."""
    return extreme("max", MaxOfAll, MaxAlong, ops.maximum, input, dim, keepdim, other)


@method
def min(input: Any, dim: Any = ..., keepdim: bool = False, *, other: Any = ...) -> Any:
    """The smallest of all; with `dim`: (values, indices); with another Tensor: elementwise."""
    return extreme("min", MinOfAll, MinAlong, ops.minimum, input, dim, keepdim, other)


def extreme(
    name: str,
    of_all: type[Function],
    along: type[Function],
    elementwise: Any,
    x: Any,
    dim: Any,
    keepdim: Any,
    other: Any,
) -> Any:
    """PyTorch's three ways to call max and min."""
    require_tensor(name, x)
    if isinstance(dim, Tensor) or is_array(dim):
        dim, other = NOT_GIVEN, dim
    if other is not NOT_GIVEN:
        if dim is not NOT_GIVEN or keepdim is not False:
            raise TypeError(f"{name}(): takes a dimension or another Tensor, not both.")
        return elementwise(x, other)
    require_dim(name, dim, keepdim)
    if dim is NOT_GIVEN:
        require_elements(name, x, None)
        return of_all.apply(x)
    dim = dim_of(dim, x.ndim)
    require_elements(name, x, (dim,))
    return ValuesIndices(*along.apply(x, dim, keepdim))


@method
def argmax(input: X, dim: int | None = None, keepdim: bool = False) -> X:
    """Where the first largest input is along `dim`, or in input.flatten(); int64."""
    return Argmax.apply(input, checked_dim("argmax", input, dim, keepdim), keepdim)


@method
def argmin(input: X, dim: int | None = None, keepdim: bool = False) -> X:
    """Where the first smallest input is along `dim`, or in input.flatten(); int64."""
    return Argmin.apply(input, checked_dim("argmin", input, dim, keepdim), keepdim)


def checked_dim(name: str, x: Any, dim: Any, keepdim: Any) -> int | None:
    """The dimension to search, or None for all."""
    require_tensor(name, x)
    require_bool(name, keepdim)
    if x.dtype.kind == "b" and (dim is None or isinstance(dim, int)):
        raise RuntimeError(f"{name}(): does not support bool input. Convert: x.int().")
    if dim is not None:
        dim = dim_of(dim, x.ndim)
    require_elements(name, x, None if dim is None else (dim,))
    return dim
