"""Writing into a Tensor's memory, and what that does to the graph.

`x.mul_(2)` is `update(x, ops.mul, 2)`: the new values are computed out of place, copied into x's
memory, and x takes over their place in the graph. Whoever saved x as it was finds its memory
written later than its own call, and raises.

If x is a view, its base is what changed: base ← base with the part at x replaced. Every view of
that base, x included, looks for its place in the graph again when it is next asked for it, by
repeating on the new base the steps that made it.

A view from split or unbind, or made under no_grad, cannot be repeated: asking raises, as in PyTorch.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import tensor as tensors
from tinygrad_mmb.autograd.grad_mode import recording
from tinygrad_mmb.autograd.storage import Storage, clock
from tinygrad_mmb.backend import Array, DType, namespace

if TYPE_CHECKING:
    from tinygrad_mmb.autograd.function import Function
    from tinygrad_mmb.autograd.tensor import Tensor

SEVERAL = (
    "This view is the output of a function that returns multiple views (split, chunk, unbind), "
    "which cannot be written to. Index (x[i]) instead, or clone() the view first."
)
UNRECORDED = (
    "It was created under no_grad() and used with recording on, so its gradient is not defined. "
    "Create the view and write to it both inside no_grad(), or both outside."
)


class Step(NamedTuple):
    """One view operation: view = function.apply(x, *args), or output `nr` of it."""

    function: type[Function]
    args: tuple[Any, ...]
    nr: int | None


class View:
    """How a view came from the Tensor that owns the memory."""

    __slots__ = ("base", "derived", "path", "refusal", "seen")

    def __init__(self, base: Tensor, path: tuple[Step, ...], refusal: str | None, seen: int):
        self.base = base
        self.path = path
        self.refusal = refusal  #  why a write through it, or a look after a write, is refused
        self.seen = seen  #        version of the memory when its place in the graph was found
        self.derived = False  #    requires_grad only because the base does


class Detached(Storage):
    """The memory of a Tensor after detach_(): whoever saved it before can no longer use it."""

    def __init__(self, real: Storage) -> None:
        self.real = real
        self.since = clock()

    @property
    def version(self) -> int:  # type: ignore[override]
        """How often the memory was written to."""
        return self.real.version

    def touch(self) -> None:
        """Note a write."""
        self.real.touch()

    def moved_to(self, home: Storage) -> None:
        """Note that what was computed here now lives in the memory of `home`."""
        self.real.moved_to(home)

    def changed_since(self, time: int) -> bool:
        """Whether what was saved then is unusable now."""
        return time < self.since or self.real.changed_since(time)


class Nowhere:
    """Where the gradient of a view is lost, as in PyTorch.

    Either it requires one only because its base does (it was made under no_grad, so it is no result
    of the base), or the base was detached in place since.
    """

    next_functions: tuple[()] = ()
    hooks = None
    time = 0

    def __init__(self, view: Tensor) -> None:
        self.outputs = ((view.array.shape, view.array.dtype),)

    def name(self) -> str:
        return "Nowhere"

    def backward(self, gs: list[Any]) -> tuple[()]:
        return ()

    def release(self) -> None: ...


def link_views(
    cls: type[Function], inputs: tuple[Any, ...], outputs: list[Tensor], many: bool
) -> None:
    """After a view operation: outputs over the input's memory share its storage, know their base."""
    x = inputs[0]
    if not isinstance(x, tensors.Tensor):
        return
    known = x._view
    base, path, refusal = (
        (x, (), None) if known is None else (known.base, known.path, known.refusal)
    )
    if not recording.get():
        refusal = UNRECORDED
    elif many:
        refusal = SEVERAL
    share = namespace(x.array).may_share_memory
    for k, y in enumerate(outputs):
        if cls is ops.Reshape and y.array.size and not share(x.array, y.array):
            continue  # only reshape may copy
        storage = x.storage
        y._storage = storage
        step = Step(cls, inputs[1:], k if many else None)
        y._view = View(base, (*path, step), refusal, storage.version)
        if y._grad_fn is None:  # it will require a gradient if its base does
            if base._views is None:
                base._views = weakref.WeakValueDictionary()
            base._views[id(y)] = y
            if base._requires_grad:
                spread(base)


def spread(base: Tensor) -> None:
    """Views without a node of their own require a gradient at least if their base does."""
    for view in list((base._views or {}).values()):
        follow(view)


def follow(view: Tensor) -> None:
    """Let a view without a node of its own require a gradient if its base does."""
    how = view._view
    if how is None or view._grad_fn is not None:
        return
    if how.derived or not view._requires_grad:
        how.derived = view._requires_grad = how.base._requires_grad and view.dtype.kind == "f"


def renew(x: Tensor) -> None:
    """If the memory of the view x was written to since, find its place in the graph again.

    Raises: RuntimeError for a view that cannot be repeated.
    """
    view = x._view
    if view is None:
        return
    version = x.storage.version
    if view.seen == version:
        return
    if x._grad_fn is None and not view.base._requires_grad:
        return
    if view.refusal is not None:
        raise RuntimeError(
            f"a view of shape {list(x.shape)}: its base or another view of its base has been "
            f"modified inplace. {view.refusal}"
        )
    view.seen = version
    if not view.base._requires_grad:  # detached in place: x stays a result, but of nothing
        nowhere: Any = Nowhere(x)
        x.grad_fn, x.output_nr = nowhere, 0
        return
    token = recording.set(True)
    try:
        move(x, replay(view.path, view.base))
    finally:
        recording.reset(token)
    view.derived = False


def replay(path: tuple[Step, ...], x: Any) -> Any:
    """The view of `x` that lies where `path` leads."""
    for step in path:
        x = step.function.apply(x, *step.args)
        if step.nr is not None:
            x = x[step.nr]
    return x


def adopt(t: Tensor, value: Tensor) -> None:
    """t takes over the place of `value` in the graph."""
    node = value.grad_fn
    t._requires_grad, t.grad_fn, t.output_nr = value._requires_grad, node, value.output_nr


def update(x: Tensor, op: Callable[..., Tensor], *args: Any, **options: Any) -> Tensor:
    """x ← op(x, ...): what x.add_(y) and x += y do."""
    others = [*args, *options.values()]
    for y in others:
        if isinstance(y, tensors.Tensor) and y is not x:
            refuse_overlap(x.array, y.array)
    if not is_recorded(x, others):
        return write(x, op(x, *args, **options), None)
    refuse_unrecordable(x)
    before = as_it_was(x)
    value = op(before, *args, **options)
    if value.array.dtype.kind == "b":
        raise NotImplementedError(
            f"{op.__name__}_ on Tensors that require gradients: its answers are bools, which carry "
            f"none. Write y = {op.__name__}(x, ...), or detach() first."
        )
    return write(x, value, before)


def is_recorded(x: Tensor, others: list[Any]) -> bool:
    """Whether a write into x of something computed from x and others belongs in the graph."""
    if not recording.get() or x.array.dtype.kind != "f":
        return False
    return x._requires_grad or any([getattr(y, "_requires_grad", False) for y in others])


def as_it_was(x: Tensor) -> Tensor:
    """x's place in the graph, with memory of its own, for the op to save: x will be written over."""
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
    storage = x.storage
    storage.touch()
    if before is not None:
        value.storage.moved_to(storage)
        cast.storage.moved_to(storage)
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


def move(t: Tensor, value: Tensor) -> None:
    """As `adopt`; a gradient that t retains is from now on that of its new value."""
    node, k = t._grad_fn, t.output_nr
    adopt(t, value)
    new = t._grad_fn
    hooks = getattr(node, "hooks", None)
    if t._retains_grad and hooks is not None and new is not None:
        reference = hooks.kept_in.get(k)
        if reference is not None and reference() is t:
            del hooks.kept_in[k]
            t._retains_grad = False
            t.retain_grad()
    if t._views is not None:
        spread(t)


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


def refuse_repetition(a: Array) -> None:
    """Raise if one element in memory stands at several places of `a`, as after expand."""
    if (
        a.size
        and 0 in a.strides
        and any(s == 0 and n > 1 for s, n in zip(a.strides, a.shape, strict=True))
    ):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a "
            f"single memory location (shape {list(a.shape)}). clone() the tensor before writing."
        )


def refuse_overlap(target: Array, source: Array, same_place_is_fine: bool = True) -> None:
    """Raise if what is read and what is written overlap without being the same."""
    xp = namespace(target)
    if not xp.may_share_memory(target, source):
        return
    same_place = address(target) == address(source)
    if same_place and same_place_is_fine and target.shape == source.shape:
        pairs = zip(target.shape, target.strides, source.strides, strict=True)
        if all(s == t for n, s, t in pairs if n > 1):
            return
    if is_dense(target) and is_dense(source):
        raise RuntimeError(
            "unsupported operation: some elements of the input tensor and the written-to tensor "
            "refer to a single memory location. clone() one of them before the operation."
        )
    if xp.shares_memory(target, source):
        raise NotImplementedError(
            "the tensor read and the tensor written overlap in memory, so the result would depend "
            "on the order of the elements. clone() one of them before the operation."
        )


def address(a: Any) -> int:
    """Where the first element lies."""
    return a.data.ptr if hasattr(a.data, "ptr") else a.__array_interface__["data"][0]


def is_dense(a: Array) -> bool:
    """Whether the elements fill a stretch of memory, each once, in whatever order."""
    order = sorted(range(a.ndim), key=lambda d: -a.strides[d])
    return bool(a.size) and bool(a.transpose(order).flags.c_contiguous)


def can_cast(source: DType, target: DType) -> bool:
    """Whether an in-place result may be stored: never float in int, never a number in bool."""
    rank = {"b": 0, "u": 1, "i": 1, "f": 2}
    return rank[source.kind] <= rank[target.kind]


def copy(x: Tensor, source: Any) -> Tensor:
    """x.copy_(source): the values of `source`, broadcast and cast."""
    if not isinstance(source, tensors.Tensor):
        source = scalar(source, x.dtype)
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
    if source is not x:
        refuse_overlap(x.array, source.array)
    return overwrite(x, source)


def fill(x: Tensor, value: Any) -> Tensor:
    """x.fill_(value): a number, or a 0-d Tensor, everywhere."""
    if not isinstance(value, tensors.Tensor):
        value = scalar(value, x.dtype)
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
        x.storage.touch()
        return x
    refuse_unrecordable(x)
    before = as_it_was(x)
    return write(x, ops.Overwrite.apply(before, source), before)


def scalar(value: Any, dtype: DType) -> Any:
    """A Python number that `dtype` can hold, as PyTorch converts it.

    Raises: RuntimeError where it overflows, TypeError for what is no number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        if not isinstance(value, bool) and not hasattr(value, "__index__"):
            raise TypeError(f"expected a number or a Tensor, but got {type(value).__name__}")
        value = int(value)
    if dtype.kind == "b":
        return value != 0
    if dtype.kind in "iu":
        low, high = limits(dtype)
        if not (value == value and low - (high if dtype.kind == "u" else 0) <= value <= high):
            raise RuntimeError(
                f"value cannot be converted to type {dtype} without overflow: {value} is not "
                f"between {low} and {high}"
            )
        return int(value) % (high + 1) if dtype.kind == "u" else int(value)
    return float(value)


def limits(dtype: DType) -> tuple[int, int]:
    """The smallest and the largest integer of a dtype."""
    bits = 8 * dtype.itemsize
    return (0, 2**bits - 1) if dtype.kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def setitem(x: Tensor, index: Any, value: Any) -> None:
    """x[index] = value: through a view where the index makes one, else by replacing places."""
    if not isinstance(value, tensors.Tensor):
        if not isinstance(value, (bool, int, float)) and not hasattr(value, "__index__"):
            raise TypeError(
                f"can't assign a {type(value).__name__} to a Tensor of dtype {x.dtype}. Make it a "
                "Tensor first: tensor(value)."
            )
        if type(value).__name__ in ("ndarray", "bool_") and type(value).__module__ == "numpy":
            raise TypeError(f"can't assign a numpy.{type(value).__name__}; make it a Tensor first")
        value = scalar(value, x.dtype)
    parsed = ops.parse_index(index, x.shape)
    part = x
    if parsed.basic is not None and not covers(parsed.basic, x.shape):
        part = ops.GetItem.apply(x, parsed.basic)
    if not parsed.advanced:
        _set_view(part, value)
    else:
        _set_places(part, parsed.advanced, value)


def covers(index: tuple[Any, ...], shape: tuple[int, ...]) -> bool:
    """Whether an index of slices selects all there is, as x[:] does: then x itself is written to."""
    for i, n in zip(index, shape, strict=False):
        if not isinstance(i, slice) and i is not Ellipsis:
            return False
        if isinstance(i, slice) and i.indices(n) != (0, n, 1):
            return False
    return None not in index


def _set_view(part: Tensor, value: Any) -> None:
    """part[...] = value"""
    if not isinstance(value, tensors.Tensor) or (value.shape != part.shape and not value.ndim):
        refuse_repetition(part.array)
        fill(part, value)
        return
    if value.shape != part.shape:
        if is_dense(part.array):
            refuse_overlap(part.array, value.array, same_place_is_fine=False)
        value = ops.expand(_without_leading_ones(value), part.shape)
    copy(part, value)


def _without_leading_ones(value: Tensor) -> Tensor:
    """(1, 1, 3) → (3,): setitem ignores leading dimensions of size 1."""
    ones = 0
    while ones < value.ndim and value.shape[ones] == 1:
        ones += 1
    return ops.reshape(value, value.shape[ones:]) if ones else value


def _fits(value: Tensor, dtype: DType) -> bool:
    """Whether one number may be cast on its way into a mask: the float must not be lost on ints."""
    return dtype.kind == "f" or (value.dtype.kind in "biu" and value.dtype == dtype)


def _set_places(part: Tensor, indices: tuple[Any, ...], value: Any) -> None:
    """part[indices] = value, where indices are lists, integer tensors or masks"""
    masks = [i for i in indices if i is not None]
    if isinstance(value, tensors.Tensor) and value.array.size == 1:
        if len(masks) == 1 and masks[0].dtype.kind == "b" and _fits(value, part.dtype):
            value = ops.to(value, part.dtype)
    if isinstance(value, tensors.Tensor) and value.dtype != part.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{part.dtype} for the destination and {value.dtype} for the source. Convert it: "
            "value.to(x.dtype)."
        )
    if isinstance(value, tensors.Tensor):
        value = _without_leading_ones(value)
    refuse_repetition(part.array)
    others = [value, *indices]
    for y in others:
        if isinstance(y, tensors.Tensor) and (
            y is part or namespace(y.array).may_share_memory(y.array, part.array)
        ):
            raise RuntimeError(
                "unsupported operation: some elements of the input tensor and the written-to "
                "tensor refer to a single memory location. clone() one of them first."
            )
    try:
        if is_recorded(part, others):
            refuse_unrecordable(part)
            before = as_it_was(part)
            write(part, ops.IndexPut.apply(before, value, *indices), before)
            return
        places = [i.array if isinstance(i, tensors.Tensor) else i for i in indices]
        source = value.array if isinstance(value, tensors.Tensor) else value
        part.array[tuple([slice(None) if i is None else i for i in places])] = source
        part.storage.touch()
    except ValueError as error:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(getattr(value, 'shape', ()))} cannot be "
            f"broadcast to indexing result: {error}"
        ) from None


def detached(x: Tensor) -> Tensor:
    """A constant over the same memory, whose writes are noticed."""
    t = tensors.wrap(x.array)
    t._storage = x.storage
    return t


def detach_(x: Tensor) -> Tensor:
    """x without its past: a constant, made here."""
    if x._view is not None:
        raise RuntimeError(
            "Can't detach views in-place. Use detach() instead, which gives a new Tensor."
        )
    if x.grad_fn is not None:
        x._storage = Detached(x.storage)
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
    x.array, x._leaf = new.array, None
