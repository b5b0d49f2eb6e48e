"""Order: sort, argsort, topk. NaN counts as larger than everything, as in PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import Array, as_array, int64, namespace, waits
from tinygrad_mmb.backend.layout import led_by_operands
from tinygrad_mmb.ops.dimensions import NOT_GIVEN, require_bool, require_tensor
from tinygrad_mmb.ops.extremes import ValuesIndices
from tinygrad_mmb.ops.gathering import AddAlong
from tinygrad_mmb.ops.unstable_order import first_k
from tinygrad_mmb.ops.views import dim_of

__all__ = ["argsort", "sort", "topk"]

LARGEST_EXACT = 1_000_000  # more elements in rows with equal ones: the first are taken, fast


class Sort(Function):
    """(values, indices) in order along a dimension.   g goes where the values came from."""

    @staticmethod
    def forward(x: Array, dim: int, descending: bool) -> tuple[Array, Array]:
        if not x.ndim:
            return x.copy(), namespace(x).zeros((), int64)
        indices = led_by_operands(order(x, dim, descending), [x])
        values = namespace(x).take_along_axis(x, indices, axis=dim)
        return led_by_operands(values, [x]), indices

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.dim, _ = inputs
        ctx.save_for_backward(output[1])
        ctx.shape = x.shape

    @staticmethod
    def backward(ctx: Any, g: Any, _: Any) -> Any:
        (indices,) = ctx.saved_tensors
        return AddAlong.apply(g, ctx.shape, ctx.dim, indices, True), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 3)), 1, False
        yield rng.standard_normal((3, n)).T, 0, True
        yield rng.standard_normal(()), 0, False


class TopK(Function):
    """(values, indices) of the k largest or smallest along a dimension.   g goes back there."""

    contiguous = True

    @staticmethod
    def forward(x: Array, k: int, dim: int, largest: bool, in_order: bool) -> tuple[Array, Array]:
        if not x.ndim:
            return x.copy(), namespace(x).zeros((), int64)
        indices = first_of_order(x, k, dim, largest, in_order)
        return namespace(x).take_along_axis(x, indices, axis=dim), indices

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, _, ctx.dim, _, _ = inputs
        ctx.save_for_backward(output[1])
        ctx.shape = x.shape

    @staticmethod
    def backward(ctx: Any, g: Any, _: Any) -> Any:
        (indices,) = ctx.saved_tensors
        gx = AddAlong.apply(g, ctx.shape, ctx.dim, indices, True)
        return gx, None, None, None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 3)), 2, 1, True, True
        yield rng.standard_normal((3, n)).T, 2, 0, False, True
        yield rng.standard_normal((n, 3)), 2, 1, True, False
        yield rng.standard_normal(()), 1, 0, True, True


class Argsort(Function):
    """The indices that put x in order along a dimension."""

    @staticmethod
    def forward(x: Array, dim: int, descending: bool) -> Array:
        if not x.ndim:
            return namespace(x).zeros((), int64)
        return led_by_operands(order(x, dim, descending), [x])

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 3)), 1, True


def order(x: Array, dim: int, descending: bool) -> Array:
    """The stable order of x along `dim`; equal ones stay in their order in both directions."""
    xp = namespace(x)
    if not descending:
        return xp.argsort(x, axis=dim, kind="stable").astype(int64, copy=False)
    backwards = (slice(None),) * dim + (slice(None, None, -1),)
    found = xp.argsort(x[backwards], axis=dim, kind="stable")[backwards]
    return (x.shape[dim] - 1 - found).astype(int64, copy=False)


def first_of_order(x: Array, k: int, dim: int, largest: bool, in_order: bool) -> Array:
    """The indices of the first k in order; where equal ones compete, those that PyTorch takes.

    On a GPU, where PyTorch promises nothing, the first of the equal ones.
    """
    xp = namespace(x)
    found = xp.moveaxis(order(x, dim, largest), dim, -1)
    values = xp.take_along_axis(xp.moveaxis(x, dim, -1), found, axis=-1)
    nan = values != values
    steps = (values[..., 1:] != values[..., :-1]) & ~(nan[..., 1:] & nan[..., :-1])
    undecided = ~steps[..., :k].all(axis=-1)
    indices = xp.ascontiguousarray(found[..., :k])
    if waits(x):
        return xp.moveaxis(indices, -1, dim)
    if not in_order:
        undecided |= True  # PyTorch leaves them as its partial sort does
    if k and undecided.any() and undecided.sum() * x.shape[dim] <= LARGEST_EXACT:
        for row in xp.argwhere(undecided):
            at = tuple([int(i) for i in row])
            ranks = xp.empty(x.shape[dim], int64)
            ranks[found[at]] = xp.concatenate(([0], xp.cumsum(steps[at])))
            indices[at] = as_array(first_k(ranks.tolist(), k, in_order), int64)
    return xp.moveaxis(indices, -1, dim)


def checked(name: str, x: Any, dim: Any, descending: Any) -> int:
    """The dimension to sort, checked."""
    require_tensor(name, x)
    if not isinstance(descending, bool):
        raise TypeError(f"{name}(): descending must be bool, not {type(descending).__name__}.")
    return dim_of(dim, x.ndim)


def by_position(
    name: str, given: tuple[Any, ...], dim: Any, descending: Any, stable: Any
) -> tuple[Any, Any]:
    """(dim, descending), which come by position or by name; next to `stable`, only by name."""
    twice = dim != -1 or (len(given) > 1 and descending is not False)
    if given and (stable is not NOT_GIVEN or len(given) > 2 or twice):
        raise TypeError(
            f"{name}(): takes (dim, descending) by position or all arguments by name, as in "
            f"x.{name}(dim=0, stable=True)."
        )
    if len(given) == 2:
        return given
    return (given[0] if given else dim), descending


@method
def sort(
    input: Any, *given: Any, dim: int = -1, descending: bool = False, stable: Any = ...
) -> ValuesIndices:
    """(values, indices) in order along `dim`. Always stable: equal ones keep their order."""
    dim, descending = by_position("sort", given, dim, descending, stable)
    if stable is not NOT_GIVEN and stable is not None:
        require_bool("sort", stable, "stable")
    dim = checked("sort", input, dim, descending)
    return ValuesIndices(*Sort.apply(input, dim, descending))


@method
def argsort(input: X, *given: Any, dim: int = -1, descending: bool = False, stable: Any = ...) -> X:
    """The indices that put input in order along `dim`; equal ones keep their order."""
    dim, descending = by_position("argsort", given, dim, descending, stable)
    if stable is not NOT_GIVEN:
        require_bool("argsort", stable, "stable")
    return Argsort.apply(input, checked("argsort", input, dim, descending), descending)


@method
def topk(
    input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> ValuesIndices:
    """(values, indices) of the k largest (or smallest) along `dim`, in order if `sorted`.

    Of equal ones those are taken that PyTorch takes, which are not the first (unstable_order.py).
    Raises: RuntimeError if there are not k of them, and for bool.
    """
    dim = checked("topk", input, dim, largest)
    require_bool("topk", sorted, "sorted")
    k = integer(k)
    size = input.shape[dim] if input.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError(
            f"topk(): selected index k out of range: k = {k}, but input of shape "
            f"{tuple(input.shape)} has {size} elements along dimension {dim}."
        )
    if input.dtype.kind == "b":
        raise RuntimeError("topk does not support bool. Convert first: x.to(uint8).")
    return ValuesIndices(*TopK.apply(input, k, dim, largest, sorted))


def integer(k: Any) -> int:
    """k, which may be a 0-d Tensor of integers."""
    if isinstance(k, Tensor) and k.dtype.kind in "iu" and not k.ndim:
        return int(k.array)
    if isinstance(k, bool) or not isinstance(k, int):
        raise TypeError(f"topk(): argument 'k' (position 2) must be int, not {type(k).__name__}.")
    return k
