"""Whole slices along a dimension, named by a vector of integers: index_select and index_add."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.promotion import cast
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import Array, add_at, as_array, bool_, is_array, namespace
from tinygrad_mmb.ops.dimensions import count, require_tensor
from tinygrad_mmb.ops.gathering import (
    at_least_1d,
    check_index,
    require_in_bounds,
)
from tinygrad_mmb.ops.views import dim_of

__all__ = ["index_add", "index_select"]

MANY = 4096  # elements from which on sorting the slices is faster than add.at, 4 times at 640,000


class IndexSelect(Function):
    """y = the slices of x along `dim` that the index names.   ∂L/∂x = g, added to those slices."""

    @staticmethod
    def forward(x: Array, dim: int, index: Array) -> Array:
        if not x.ndim:
            return x.copy()
        return namespace(x).take(x, at_least_1d(index), axis=dim)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.dim, index = inputs
        ctx.save_for_backward(index)
        ctx.shape = x.shape

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (index,) = ctx.saved_tensors
        return AddSlices.apply(g, ctx.shape, ctx.dim, index), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 3)), 0, as_array([0, 2, 0])
        yield rng.standard_normal((n, 3)).T, 1, as_array(1)
        yield rng.standard_normal(()), 0, as_array([0])


class AddSlices(Function):
    """y = zeros, with the slices of x along `dim` added where the index says.   ∂L/∂x = g there."""

    @staticmethod
    def forward(x: Array, shape: tuple[int, ...], dim: int, index: Array) -> Array:
        y = namespace(x).zeros(shape, x.dtype)
        add_slices(y, dim, index, x)
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        _, _, ctx.dim, index = inputs
        ctx.save_for_backward(index)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (index,) = ctx.saved_tensors
        return IndexSelect.apply(g, ctx.dim, index), None, None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((3, n)), (n, n), 0, as_array([0, 2, 0])
        yield rng.standard_normal((n, 2)), (n, 3), 1, as_array([2, 2])
        yield rng.standard_normal(()), (), 0, as_array([0])


class IndexAdd(Function):
    """y = x, with `alpha` times the slices of source added where the index says.

    ∂L/∂x = g,  ∂L/∂source = alpha times the slices of g.
    """

    contiguous = True

    @staticmethod
    def forward(x: Array, dim: int, index: Array, source: Array, alpha: float) -> Array:
        y = namespace(x).array(x)
        add_slices(y, dim, index, source if alpha == 1 else source * cast(alpha, x.dtype))
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        _, ctx.dim, index, source, ctx.alpha = inputs
        ctx.save_for_backward(index, source)  # the source only because PyTorch does

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        _, _, _, need_source, _ = ctx.needs_input_grad
        gs = None
        if need_source:
            index, _ = ctx.saved_tensors
            gs = IndexSelect.apply(g, ctx.dim, index)
            gs = gs if ctx.alpha == 1 else gs * ctx.alpha
        return g, None, None, gs, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 3)), 0, as_array([0, 2, 0]), rng.standard_normal((3, 3)), 1
        yield rng.standard_normal((n, 3)), 1, as_array([2, 2]), rng.standard_normal((n, 2)), 0.5
        yield rng.standard_normal(()), 0, as_array([0]), rng.standard_normal(()), 2


def add_slices(y: Array, dim: int, index: Array, source: Array) -> None:
    """y[..., index, ...] += source, every time an index comes."""
    index = at_least_1d(index)
    if not index.size:
        return
    xp, y, source = namespace(y), at_least_1d(y), at_least_1d(source)
    if dim == 0 and source.size > MANY and y.ndim > 1:
        order = xp.argsort(index, kind="stable")
        found = index[order]
        first = xp.ones(found.shape, bool_)
        first[1:] = found[1:] != found[:-1]
        starts = xp.flatnonzero(first)
        y[found[starts]] += xp.add.reduceat(source[order], starts, axis=0, dtype=y.dtype)
    else:
        add_at(y, (slice(None),) * dim + (index,), source)


@method
def index_select(input: X, dim: int, index: Any) -> X:
    """The slices of input along `dim` that `index` (a vector of integers) names, as a copy."""
    require_tensor("index_select", input)
    dim = dim_of(dim, input.ndim)
    check_index("index_select", index)
    if index.ndim > 1:
        raise IndexError(
            f"index_select(): Index is supposed to be a vector, but has shape {tuple(index.shape)}."
        )
    if not input.ndim and tuple(index.shape) not in ((), (1,)):
        raise RuntimeError(
            "index_select(): index into a 0-d tensor can have only 1 value, but index has shape "
            f"{tuple(index.shape)}."
        )
    size = input.shape[dim] if input.ndim else 1
    require_in_bounds("index_select", index, dim, size, RuntimeError if dim else IndexError)
    return IndexSelect.apply(input, dim, index)


@method(inplace=True)
def index_add(input: X, dim: int, index: Any, source: Any, *, alpha: float = 1) -> X:
    """input, with alpha · (slice i of source along `dim`) added to slice index[i], for each i."""
    require_tensor("index_add", input)
    dim = dim_of(dim, input.ndim)
    check_index("index_add", index)
    if not (isinstance(source, Tensor) or is_array(source)):
        raise TypeError(
            "index_add(): argument 'source' (position 4) must be Tensor, "
            f"not {type(source).__name__}."
        )
    if index.ndim > 1:
        raise IndexError(
            f"index_add(): Index is supposed to be a vector, but has shape {tuple(index.shape)}."
        )
    if input.dtype != source.dtype:
        raise RuntimeError(
            f"index_add(): x is {input.dtype}, so source must be as well, but is {source.dtype}. "
            "Convert it: source.to(x.dtype)."
        )
    others = [d for d in range(input.ndim) if d != dim]
    if input.ndim != source.ndim or [d for d in others if input.shape[d] != source.shape[d]]:
        raise RuntimeError(
            f"index_add(): source of shape {tuple(source.shape)} must have the shape of x, "
            f"{tuple(input.shape)}, apart from dimension {dim}."
        )
    n = count(index.shape, None)
    if n != (source.shape[dim] if source.ndim else 1):
        raise RuntimeError(
            f"index_add(): {n} indices for source of shape {tuple(source.shape)}; there must be "
            f"one for each slice along dimension {dim}."
        )
    require_in_bounds("index_add", index, dim, input.shape[dim] if input.ndim else 1)
    return IndexAdd.apply(input, dim, index, source, alpha)
