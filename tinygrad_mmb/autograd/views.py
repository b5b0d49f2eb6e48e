"""What a view remembers, and how it finds its place in the graph again after a write.

A write through a view changes its base: base ← base with the part at the view replaced. Every view
of that base, when next asked for its place in the graph, repeats on the new base the steps that
made it. A view from split or unbind, or one made under no_grad, cannot be repeated: asking raises.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import tensor as tensors
from tinygrad_mmb.autograd.grad_mode import recording
from tinygrad_mmb.autograd.storage import Storage, clock
from tinygrad_mmb.backend import namespace

if TYPE_CHECKING:
    from tinygrad_mmb.autograd.function import Function
    from tinygrad_mmb.autograd.hooks import Hooks
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
    hooks: Hooks | None = None
    time = 0.0

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
    """After a view operation: outputs over the input's memory share its storage and know it."""
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
        storage = x.memory
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
    version = x.memory.version
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
        old, k = x._grad_fn, x.output_nr
        nowhere: Any = Nowhere(x)
        x.grad_fn, x.output_nr = nowhere, 0
        keep_retaining(x, old, k)
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


def move(t: Tensor, value: Tensor) -> None:
    """As `adopt`; a gradient that t retains is from now on that of its new value."""
    node, k = t._grad_fn, t.output_nr
    adopt(t, value)
    keep_retaining(t, node, k)
    if t._views is not None:
        spread(t)


def keep_retaining(t: Tensor, old: Any, k: int) -> None:
    """What retain_grad asked of the old node is from now on asked of t's new one."""
    hooks = getattr(old, "hooks", None)
    if not t._retains_grad or hooks is None or t._grad_fn is None:
        return
    reference = hooks.kept_in.get(k)
    if reference is not None and reference() is t:
        del hooks.kept_in[k]
        t._retains_grad = False
        t.retain_grad()
