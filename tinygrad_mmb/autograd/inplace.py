"""Writing into a Tensor's memory, and what that does to the graph.

`x.mul_(2)` is `update(x, ops.mul, 2)`: the new values are computed out of place, copied into x's
memory, and x takes over their place in the graph. Whoever saved x as it was finds its memory
written later than its own call, and raises. What a write through a view does stands in views.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import tensor as tensors
from tinygrad_mmb.autograd.grad_mode import recording
from tinygrad_mmb.autograd.overlap import refuse_overlap, refuse_repetition
from tinygrad_mmb.autograd.promotion import fits
from tinygrad_mmb.autograd.views import Detached, adopt, move, renew, spread
from tinygrad_mmb.backend import DType, namespace

if TYPE_CHECKING:
    from tinygrad_mmb.autograd.tensor import Tensor


def update(x: Tensor, op: Callable[..., Tensor], *args: Any, **options: Any) -> Tensor:
    """x ← op(x, ...): what x.add_(y) and x += y do."""
    others = [*args, *options.values()]
    for y in others:
        if isinstance(y, tensors.Tensor) and y is not x:
            refuse_overlap(x, y)
    recorded = is_recorded(x, others)
    if recorded:
        refuse_unrecordable(x)
    before = as_it_was(x) if recorded else None
    value = op(x if before is None else before, *args, **options)
    if value.array.dtype.kind == "b" and recording.get() and any_requires_grad([x, *others]):
        raise NotImplementedError(
            f"{op.__name__}_ on Tensors that require gradients: its answers are bools, which carry "
            f"none. Write y = {op.__name__}(x, ...), or detach() first."
        )
    return write(x, value, before)


def is_recorded(x: Tensor, others: list[Any]) -> bool:
    """Whether a write into x of something computed from x and others belongs in the graph."""
    if not recording.get() or x.array.dtype.kind != "f":
        return False
    return any_requires_grad([x, *others])


def any_requires_grad(values: list[Any]) -> bool:
    """Whether one of these, Tensors among other arguments, requires a gradient."""
    return any([getattr(y, "_requires_grad", False) for y in values])


def as_it_was(x: Tensor) -> Tensor:
    """x's place in the graph with memory of its own, for the op to save: x is written over."""
    old = tensors.wrap(namespace(x.array).array(x.array))
    if x._requires_grad:
        x.edge  # noqa: B018 - a view finds its place again, or raises
        adopt(old, x)
    return old


def write(x: Tensor, value: Tensor, before: Tensor | None) -> Tensor:
    """Put `value` into x's memory; x is from now on what `value` is, if that is to be recorded.

    `before` is x as it was, if the write is recorded.
    Raises: RuntimeError if shape or dtype do not fit, or x repeats its own memory.
    """
    if value.shape != x.shape:
        raise RuntimeError(
            f"output with shape {list(x.shape)} doesn't match the broadcast shape "
            f"{list(value.shape)}: an in-place operation cannot change the shape. Write out of "
            "place, as in x = x + y."
        )
    if not can_cast(value.dtype, x.dtype):
        raise RuntimeError(
            f"result type {value.dtype} can't be cast to the desired output type {x.dtype}: an "
            "in-place operation keeps the dtype. Write out of place, as in x = x + y."
        )
    refuse_repetition(x.array)
    if before is not None and not value._requires_grad:
        value = ops.Overwrite.apply(before, value)  # the op has no gradient: zero
    cast = ops.to(value, x.dtype)
    x.array[...] = cast.array
    storage = x.memory
    storage.touch()
    if before is not None:
        value.memory.moved_to(storage)
        cast.memory.moved_to(storage)
        share_result(cast, x)
        if x._view is None:
            move(x, cast)
        else:
            base = x._view.base
            move(base, ops.Replaced.apply(base, cast, x._view.path))
            renew(x)
    return x


def share_result(value: Tensor, x: Tensor) -> None:
    """Where the op that made `value` saved it, let that be x's memory, which now holds it."""
    for saved in getattr(value._grad_fn, "_saved", None) or ():
        if isinstance(saved, tensors.Tensor) and saved.array is value.array:
            saved.array = x.array


def refuse_unrecordable(x: Tensor) -> None:
    """Raise where the gradient of a write would be undefined, as PyTorch does."""
    view = x._view
    if view is not None:
        if view.refusal is not None:
            raise RuntimeError(
                f"a view of shape {list(x.shape)} is being modified inplace. {view.refusal}"
            )
        if x._requires_grad and view.base.is_leaf:
            raise RuntimeError(
                "a view of a leaf Variable that requires grad is being used in an in-place "
                "operation. Update parameters under no_grad(); elsewhere write out of place."
            )
    if x._requires_grad and x._grad_fn is None:  # also a view not asked since its base changed
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation. Update "
            "parameters under no_grad(); elsewhere write out of place, as in x = x * 2."
        )


def can_cast(source: DType, target: DType) -> bool:
    """Whether an in-place result may be stored: never float in int, never a number in bool."""
    rank = {"b": 0, "u": 1, "i": 1, "f": 2}
    return rank[source.kind] <= rank[target.kind]


def copy(x: Tensor, source: Any) -> Tensor:
    """x.copy_(source): the values of `source`, broadcast and cast."""
    if not isinstance(source, tensors.Tensor):
        source = fits(source, x.dtype, "copy_")
        refuse_repetition(x.array)
        return overwrite(x, source)
    if len(source.shape) > x.ndim:
        raise RuntimeError(
            f"output with shape {list(x.shape)} doesn't match the broadcast shape "
            f"{list(source.shape)}"
        )
    for d in range(1, source.ndim + 1):
        if source.shape[-d] not in (1, x.shape[-d]):
            raise RuntimeError(
                f"The size of tensor a ({x.shape[-d]}) must match the size of tensor b "
                f"({source.shape[-d]}) at non-singleton dimension {x.ndim - d}: x is "
                f"{list(x.shape)}, the source {list(source.shape)}"
            )
    refuse_repetition(x.array)
    if source.device != x.device:
        source = ops.to_device(source, x.device)  # a copy from one place to another, as copy_ is
    if source is not x:
        refuse_overlap(x, source)
    return overwrite(x, source)


def fill(x: Tensor, value: Any) -> Tensor:
    """x.fill_(value): a number, or a 0-d Tensor, everywhere."""
    if not isinstance(value, tensors.Tensor):
        value = fits(value, x.dtype, "fill_")
    elif value.ndim:
        raise RuntimeError(
            "fill_ only supports 0-dimension value tensor but got tensor with "
            f"{value.ndim} dimensions."
        )
    elif value._requires_grad and x.dtype.kind != "f" and recording.get():
        raise NotImplementedError(
            f"fill_: a value that requires a gradient into a tensor of dtype {x.dtype}, which "
            "carries none. Use value.detach()."
        )
    if isinstance(value, tensors.Tensor) or is_recorded(x, []):
        refuse_repetition(x.array)
    return overwrite(x, value)


def overwrite(x: Tensor, source: Any) -> Tensor:
    """Checked values of any dtype into x."""
    if not is_recorded(x, [source]):
        x.array[...] = source.array if isinstance(source, tensors.Tensor) else source
        x.memory.touch()
        return x
    refuse_unrecordable(x)
    before = as_it_was(x)
    return write(x, ops.Overwrite.apply(before, source), before)


def detached(x: Tensor) -> Tensor:
    """A constant over the same memory, whose writes are noticed."""
    t = tensors.wrap(x.array)
    t._storage = x.memory
    return t


def detach_(x: Tensor) -> Tensor:
    """x without its past: a constant, made here."""
    if x._view is not None:
        raise RuntimeError(
            "Can't detach views in-place. Use detach() instead, which gives a new Tensor."
        )
    if x.grad_fn is not None:
        x._storage = Detached(x.memory)
    x.grad_fn, x.output_nr, x._requires_grad, x._retains_grad = None, 0, False, False
    spread(x)
    return x


def set_data(x: Tensor, new: Tensor) -> None:
    """x.data = new: other memory under the same name; autograd does not notice.

    Raises: TypeError for what is no Tensor, RuntimeError for integers where x requires a gradient.
    """
    if not isinstance(new, tensors.Tensor):
        raise TypeError(f"Variable data has to be a tensor, but got {type(new).__name__}")
    if x._requires_grad and new.array.dtype.kind != "f":
        raise RuntimeError(
            "data set to a tensor that requires gradients must be floating point, but got "
            f"{new.array.dtype}"
        )
    leaf, x.array = x._leaf, new.array
    if leaf is not None and leaf.outputs != ((x.array.shape, x.array.dtype),):
        x._leaf = leaf.renewed()  # graphs of before go on to the old one
