"""Indexing: x[...] by integers and slices is a view; by lists, integer tensors and masks a copy."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tinygrad_mmb import backend, ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import Array, add_at, as_array, is_array, namespace, waits
from tinygrad_mmb.kernels import recorder
from tinygrad_mmb.ops.gathering import are_outside
from tinygrad_mmb.ops.index_layout import led_by_indices

__all__ = ["AddAt", "GetItem", "Index", "IndexPut", "beside", "getitem", "index_put", "parse_index"]


class Parsed(NamedTuple):
    """An index in two parts, applied one after the other, as PyTorch does."""

    basic: tuple[Any, ...] | None  #   ints, slices, None and one Ellipsis: a view; None: nothing
    advanced: tuple[Any, ...]  #       per dimension of that view an array or mask, or None: all


class GetItem(Function):
    """y = x[index], for ints, slices, None and Ellipsis.   ∂L/∂x = zeros with g at the index."""

    view = True

    @staticmethod
    def forward(x: Array, index: tuple[Any, ...]) -> Array:
        return x[index]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.index = inputs
        ctx.shape = x.shape

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return Put.apply(g, ctx.shape, ctx.index), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), (slice(1, None), ...)
        yield rng.standard_normal((n, n)), (..., 0, None)
        yield rng.standard_normal((n, n)).T, (slice(None, None, 2), slice(1, 3), ...)


class Put(Function):
    """y = zeros of a shape with x at the index: the way back of GetItem.   ∂L/∂x = g[index]."""

    @staticmethod
    def forward(x: Array, shape: tuple[int, ...], index: tuple[Any, ...]) -> Array:
        y = namespace(x).zeros(shape, x.dtype)
        y[index] = x
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.index = inputs[2]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return GetItem.apply(g, ctx.index), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((2, n)), (n, n), (slice(1, 3), ...)


def _places(indices: Sequence[Array | None]) -> tuple[Any, ...]:
    """What NumPy takes: everything where an index is None."""
    return tuple([slice(None) if i is None else i for i in indices])


class Index(Function):
    """y = x[i₀, i₁, ...] with integer arrays and masks.   ∂L/∂x = g added up where it came from."""

    @staticmethod
    def forward(x: Array, *indices: Array | None) -> Array:
        return led_by_indices(x, indices, as_array(x[_places(indices)]))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, *indices = inputs
        ctx.save_for_backward(*indices)
        ctx.shape = x.shape

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        indices = ctx.saved_tensors
        return AddAt.apply(g, ctx.shape, *indices), *[None for _ in indices]

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), as_array([0, 1, 0])
        yield rng.standard_normal((n, n)), None, as_array([[0, 1], [2, 2]])
        yield rng.standard_normal((n, 2, n)), as_array([0, 1]), None, as_array([-1, 1])
        yield rng.standard_normal((3, n)), as_array([True, False, True])


class AddAt(Function):
    """y = zeros of a shape, with x added at the places of Index.   ∂L/∂x = g[i₀, i₁, ...]."""

    @staticmethod
    def forward(x: Array, shape: tuple[int, ...], *indices: Array | None) -> Array:
        xp = namespace(x)
        y = xp.zeros(shape, x.dtype)
        if all(i is None or i.dtype.kind == "b" for i in indices):
            y[_places(indices)] = x  # masks name no element twice
        else:
            add_at(y, _places(indices), x)
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs[2:])

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        indices = ctx.saved_tensors
        return Index.apply(g, *indices), None, *[None for _ in indices]

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((3, n)), (n, n), as_array([0, 1, 0])


class IndexPut(Function):
    """y = x with `value` at the places of Index.   ∂L/∂x = g with zeros there, ∂L/∂value = g there.

    Where an index names an element twice, the last value stays, as on PyTorch's CPU.
    """

    @staticmethod
    def forward(x: Array, value: Any, *indices: Array | None) -> Array:
        y = namespace(x).array(x)
        y[_places(indices)] = value
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs[2:])

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        indices = ctx.saved_tensors
        need_x, need_value, *_ = ctx.needs_input_grad
        gx = IndexPut.apply(g, 0.0, *indices) if need_x else None
        gvalue = Index.apply(g, *indices) if need_value else None
        return gx, gvalue, *[None for _ in indices]

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), rng.standard_normal(n), as_array([0, 2])
        yield rng.standard_normal((3, n)), rng.standard_normal(()), as_array([True, False, True])


def getitem(x: X, index: Any) -> X:
    """x[index]: a view for ints, slices, None and Ellipsis, a copy for lists, tensors and masks.

    Raises: IndexError for an index that does not fit, TypeError or ValueError for odd slices.
    """
    parsed = parse_index(index, tuple(x.shape))
    if parsed.basic is not None or not parsed.advanced:
        x = GetItem.apply(x, parsed.basic or (...,))
    return Index.apply(x, *beside(x, parsed.advanced)) if parsed.advanced else x


def index_put(x: X, index: Any, value: Any) -> X:
    """x with the places at the index replaced: `x[index] = value` that leaves x as it is."""
    parsed = parse_index(index, tuple(x.shape))
    if parsed.basic is not None:
        raise NotImplementedError(
            f"index_put: an index of lists, integer tensors and masks only, not {index}"
        )
    return IndexPut.apply(x, value, *beside(x, parsed.advanced))


def beside(x: Any, indices: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arrays and masks of an index where x lies: those of the CPU are sent to its GPU.

    Raises: RuntimeError for an index on another device, IndexError for one out of bounds on a GPU,
    which would wrap it; NumPy raises by itself.
    """
    if not waits(x) and not any(waits(i) for i in indices):
        return indices
    here = backend.device_of(_array(x))
    found, dim = [], 0
    for i in indices:
        if i is not None:
            there = backend.device_of(_array(i))
            if there not in (backend.cpu, here):
                raise RuntimeError(
                    "indices should be either on cpu or on the same device as the indexed tensor "
                    f"({here}), but one is on {there}. Move it: index.to({str(here)!r})."
                )
            if here != backend.cpu:
                refuse_out_of_bounds(_array(i), dim, x.shape[dim])
                i = i if there == here else ops.to_device(i, here)
        found.append(i)
        dim += i.ndim if i is not None and i.dtype.kind == "b" else 1
    return tuple(found)


def refuse_out_of_bounds(i: Array, dim: int, size: int) -> None:
    """Raise IndexError unless all integers lie in -size .. size - 1."""
    if i.dtype.kind != "b" and recorder.answer(are_outside, i, -size, size):
        wrong = i[(i < -size) | (i >= size)][0]
        raise IndexError(
            f"index {int(wrong)} is out of bounds for dimension {dim} with size {size}"
        )


def parse_index(index: Any, shape: tuple[int, ...]) -> Parsed:
    """An index as the user wrote it, checked against a shape, in its two parts."""
    items = index if type(index) is tuple else _as_tuple(index)
    simple = items
    if not all(type(i) in (int, slice) or i is None or i is Ellipsis for i in items):
        simple = tuple([_item(i) for i in items])
    named = sum([_dimensions(i) for i in simple])
    if named > len(shape):
        raise IndexError(_too_many(shape, simple))
    basic: list[Any] = []
    advanced: list[Any] = []
    dim = 0  # of x, as far as it has been used up
    for i in simple:
        if i is Ellipsis:
            rest = len(shape) - named
            basic += [slice(None)] * rest
            advanced += [None] * rest
            dim += rest
            named += rest  # a second Ellipsis stands for nothing
        elif i is None:
            basic.append(None)
            advanced.append(None)
        elif isinstance(i, slice):
            basic.append(_slice(i))
            advanced.append(None)
            dim += 1
        elif type(i) is int:
            if not -shape[dim] <= i < shape[dim]:
                raise IndexError(
                    f"index {i} is out of bounds for dimension {dim} with size {shape[dim]}"
                )
            basic.append(i)
            dim += 1
        elif not i.ndim:  # a single truth value: a new dimension of size 1 or 0
            basic.append(None)
            advanced.append(as_array([0] if bool(_array(i)) else [], backend.int64))
        elif i.dtype.kind == "b":
            if tuple(i.shape) != shape[dim : dim + i.ndim]:
                raise IndexError(
                    f"The shape of the mask {list(i.shape)} at index {dim} does not match the "
                    f"shape of the indexed tensor {list(shape)}"
                )
            basic += [slice(None)] * i.ndim
            advanced.append(i)
            dim += i.ndim
        else:
            basic.append(slice(None))
            advanced.append(i)
            dim += 1
    while advanced and advanced[-1] is None:
        advanced.pop()
    trivial = all(type(b) is slice and b == slice(None) for b in basic)
    return Parsed(None if trivial and advanced else (*basic, ...), tuple(advanced))


def _as_tuple(index: Any) -> tuple[Any, ...]:
    """(index,), or the parts of a list that PyTorch takes for a tuple: one with slices or lists."""
    if isinstance(index, tuple):
        return tuple(index)
    if isinstance(index, list) and len(index) < 32:
        for i in index:
            if i is None or i is Ellipsis or isinstance(i, (slice, list, tuple, Tensor)):
                return tuple(index)
    return (index,)


def _item(i: Any) -> Any:
    """One part of an index: int, slice, None, Ellipsis, or an integer or bool array or Tensor."""
    if i is None or i is Ellipsis or isinstance(i, slice):
        return i
    if isinstance(i, bool):
        return as_array(i, backend.bool_)
    if isinstance(i, int):
        return i
    if isinstance(i, Tensor) or is_array(i):
        return _checked(i)
    if isinstance(i, (list, tuple, range)):
        parts = _plain(i)
        return _checked(as_array(parts)) if len(parts) else as_array(parts, backend.int64)
    if not isinstance(i, float) and hasattr(i, "__index__"):
        return operator.index(i)
    kind = type(i).__name__
    message = (
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid "
        f"indices (got {kind})"
    )
    raise TypeError(message) if isinstance(i, (str, bytes)) else IndexError(message)


def _plain(i: Any) -> Any:
    """Nested lists with the Tensors in them as numbers."""
    return [
        v.tolist() if isinstance(v, Tensor) or is_array(v)
        else _plain(v) if isinstance(v, (list, tuple, range))
        else v
        for v in i
    ]  # fmt: skip


def _checked(i: Any) -> Any:
    """An index array or Tensor of a dtype that can be one; a 0-d integer becomes an int."""
    if i.ndim == 0 and i.dtype.kind in "iu" and i.dtype != backend.uint8:
        return int(_array(i))
    if i.dtype == backend.uint8:
        return i != 0  # as PyTorch reads it: a mask
    if i.dtype not in (backend.bool_, backend.int32, backend.int64):
        raise IndexError(
            f"tensors used as indices must be long, int, byte or bool tensors, not {i.dtype}. "
            "Convert it first: index.long()."
        )
    return i


def _array(i: Any) -> Any:
    return i.array if isinstance(i, Tensor) else i


def _dimensions(i: Any) -> int:
    """How many dimensions of x a part of the index uses up."""
    if i is None or i is Ellipsis:
        return 0
    if isinstance(i, (int, slice)):
        return 1
    return i.ndim if i.dtype.kind == "b" else 1


def _too_many(shape: tuple[int, ...], index: tuple[Any, ...]) -> str:
    if not shape and all(isinstance(i, int) for i in index):
        return (
            "invalid index of a 0-dim tensor. Use `tensor.item()` to convert a 0-dim tensor to a "
            "number"
        )
    return f"too many indices for tensor of dimension {len(shape)} (shape {list(shape)})"


def _slice(i: slice) -> slice:
    """A slice of Python ints with a positive step."""
    if i.step is None and i.start is None and i.stop is None:
        return i
    try:
        start, stop, step = (
            None if v is None else operator.index(v) for v in (i.start, i.stop, i.step)
        )
    except TypeError:
        raise TypeError(
            "slice indices must be integers or None or have an __index__ method, but got "
            f"{i.start}:{i.stop}:{i.step}"
        ) from None
    if step is not None and step <= 0:
        what = "slice step cannot be zero" if step == 0 else "step must be greater than zero"
        raise ValueError(f"{what}, but got {i.start}:{i.stop}:{step}. Use flip() to reverse.")
    return slice(start, stop, step)
