"""Writing into a Tensor's memory, and what that does to the graph.

`x.mul_(2)` is `assign(x, x * 2)`: the new values are computed out of place, copied into x's memory, and x takes over
their place in the graph. Everyone who saved x as it was finds its storage written later than its own call, and raises.

If x is a view, its base is what changed: base ← base with the part at x replaced. Then every living view of that base,
x included, is made again from the base as it now is, so each of them leads to the right gradient.
"""
from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import tensor as tensors
from tinygrad_mmb.autograd.grad_mode import recording
from tinygrad_mmb.backend import namespace

if TYPE_CHECKING:
    from tinygrad_mmb.autograd.function import Function
    from tinygrad_mmb.autograd.tensor import Tensor


class Step(NamedTuple):
    """One view operation: view = function.apply(x, *args), or output `nr` of it."""

    function: type[Function]
    args: tuple[Any, ...]
    nr: int | None


class View(NamedTuple):
    """How a view came from the Tensor that owns the memory."""

    base: Tensor
    path: tuple[Step, ...]
    refusal: str | None  # why a write through it cannot be recorded


def link_views(cls: type[Function], inputs: tuple[Any, ...], outputs: list[Tensor], many: bool) -> None:
    """After a view operation: outputs over the input's memory share its storage and know their base."""
    x = inputs[0]
    base, path, refusal = x._view or (x, (), None)
    if many:
        refusal = "it is one of several outputs of a single call (split, chunk, unbind)"
    elif not recording.get():
        refusal = "it was created in no_grad mode"
    for k, y in enumerate(outputs):
        if not y.array.size or namespace(x.array).may_share_memory(x.array, y.array):
            y._storage = x.storage
            y._view = View(base, (*path, Step(cls, inputs[1:], k if many else None)), refusal)
            if base._views is None:
                base._views = weakref.WeakValueDictionary()
            base._views[id(y)] = y


def replay(path: tuple[Step, ...], x: Any) -> Any:
    """The view of `x` that lies where `path` leads."""
    for step in path:
        x = step.function.apply(x, *step.args)
        x = x if step.nr is None else x[step.nr]
    return x


def update(x: Tensor, op: Callable[..., Tensor], *args: Any, **options: Any) -> Tensor:
    """x ← op(x, ...): what x.add_(y) and x += y do."""
    for y in args:
        if isinstance(y, tensors.Tensor) and partly_overlap(x.array, y.array):
            raise RuntimeError("unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. clone() one of them first.")
    return assign(x, op(x, *args, **options))


def partly_overlap(a: Any, b: Any) -> bool:
    """Whether two arrays without gaps share some of their memory, but are not the same array."""
    same = a.shape == b.shape and a.strides == b.strides
    return namespace(a).may_share_memory(a, b) and not (same and address(a) == address(b)) and gapless(a) and gapless(b)


def address(a: Any) -> int:
    return a.data.ptr if hasattr(a.data, "ptr") else a.__array_interface__["data"][0]


def gapless(a: Any) -> bool:
    return bool(a.transpose(sorted(range(a.ndim), key=lambda d: -a.strides[d])).flags.c_contiguous)


def assign(x: Tensor, value: Tensor) -> Tensor:
    """Write `value` into x's memory; x is from now on what `value` is."""
    if value.shape != x.shape:
        raise RuntimeError(f"output with shape {x.shape} doesn't match the broadcast shape {value.shape}: an in-place operation cannot change the shape. Write x = x + y instead.")
    if not can_cast(value.dtype, x.dtype):
        raise RuntimeError(f"result type {value.dtype} can't be cast to the desired output type {x.dtype}: an in-place operation keeps the dtype. Write x = x + y instead.")
    if any(stride == 0 and n > 1 for stride, n in zip(x.array.strides, x.shape)):
        raise RuntimeError("unsupported operation: more than one element of the written-to tensor refers to a single memory location. clone() the tensor before writing to it.")
    value = ops.to(value, x.dtype)
    base = x if x._view is None else x._view.base
    recorded = recording.get() and (x._requires_grad or value._requires_grad)
    if recorded:
        refuse_unrecordable(x, base)
    x.array[...] = value.array
    x.storage.touch()
    if recorded:
        value.storage.moved_to(x.storage)
        adopt(base, value if base is x else ops.replaced(base, value, x._view.path))
        for view in list((base._views or {}).values()):
            adopt(view, replay(view._view.path, base))
    return x


def adopt(t: Tensor, value: Tensor) -> None:
    """t takes over the place of `value` in the graph."""
    t._requires_grad, t.grad_fn, t.output_nr = value._requires_grad, value.grad_fn, value.output_nr


def refuse_unrecordable(x: Tensor, base: Tensor) -> None:
    """Raise where the gradient would be undefined, as PyTorch does."""
    if base._requires_grad and base.grad_fn is None:
        what = "a leaf Variable" if base is x else "a view of a leaf Variable"
        raise RuntimeError(f"{what} that requires grad is being used in an in-place operation. Update parameters under no_grad(); elsewhere write x = x * 2.")
    for view in (base._views or {}).values():
        if view._view.refusal is not None:
            raise RuntimeError(f"a view of shape {view.shape} is being modified inplace, itself or through its base, but {view._view.refusal}. clone() it first, or write out of place.")


def can_cast(source: Any, target: Any) -> bool:
    """Whether an in-place result may be stored: never float in int, never a number in bool."""
    category = {"b": 0, "u": 1, "i": 1, "f": 2}
    return category[source.kind] <= category[target.kind]


def overwrite(x: Tensor, source: Any) -> Tensor:
    """x.copy_(source), x.fill_(source): any dtype goes in."""
    if len(getattr(source, "shape", ())) > x.ndim:
        raise RuntimeError(f"output with shape {x.shape} doesn't match the broadcast shape {source.shape}.")
    return update(x, ops.overwritten, source)


def setitem(x: Tensor, index: Any, value: Any) -> None:
    """x[index] = value: through a view where the index makes one, else by a copy with the places replaced."""
    part = ops.getitem(x, index)
    if isinstance(value, tensors.Tensor) and value.shape != part.shape and partly_overlap(part.array, value.array):
        raise RuntimeError("unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. clone() one of them first.")
    while getattr(value, "ndim", 0) > part.ndim and value.shape[0] == 1:
        value = value[0]
    if part._view is not None:
        overwrite(part, value)
    else:
        assign(x, ops.index_put(x, index, value))


def detached(x: Tensor) -> Tensor:
    """A constant over x's memory, of which in-place writes are noticed."""
    t = tensors.wrap(x.array)
    t._storage = x.storage
    return t


def set_data(x: Tensor, new: Any) -> None:
    """x.data = new: other numbers in the same place of the graph."""
    if not isinstance(new, tensors.Tensor):
        raise TypeError(f"x.data can only be set to a Tensor, but got {type(new).__name__}.")
    if x._requires_grad and new.array.dtype.kind != "f":
        raise RuntimeError("data set to a tensor that requires gradients must be floating point dtype")
    x.array, x._leaf = new.array, None
