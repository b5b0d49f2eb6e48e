"""Hooks: functions that see a gradient on its way, and may replace it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinygrad_mmb.autograd import tensor as tensors

if TYPE_CHECKING:
    from tinygrad_mmb.autograd.tensor import Tensor

Hook = Callable[["Tensor"], "Tensor | None"]


class RemovableHandle:
    """What registering a hook returns: `handle.remove()`, or a with statement, takes it away."""

    def __init__(self, remove: Callable[[], None]) -> None:
        self._remove: Callable[[], None] | None = remove

    def remove(self) -> None:
        """Take the hook away. A second call does nothing."""
        if self._remove is not None:
            self._remove()
            self._remove = None

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


class Hooks:
    """The hooks of one node, by output. They survive whatever happens to the Tensor object."""

    def __init__(self) -> None:
        self.seen_by: dict[int, list[Hook]] = {}
        self.kept_in: dict[int, weakref.ref[Tensor]] = {}  # retain_grad: after all other hooks

    def add(self, k: int, hook: Hook) -> RemovableHandle:
        """Show the gradient of output k to `hook`."""
        hooks = self.seen_by.setdefault(k, [])
        hooks.append(hook)

        def remove() -> None:
            if hook in hooks:
                hooks.remove(hook)

        return RemovableHandle(remove)

    def keep(self, k: int, t: Tensor) -> None:
        """Put the gradient of output k into `t.grad`; the node must not keep its result alive."""
        self.kept_in[k] = weakref.ref(t)


def run_hooks(hooks: Hooks, gs: list[Any]) -> None:
    """Show each complete gradient to its hooks; what one returns replaces it."""
    for k, functions in hooks.seen_by.items():
        for hook in list(functions):
            if gs[k] is not None:
                gs[k] = shown(hook, gs[k])
    for k, reference in hooks.kept_in.items():
        t = reference()
        if t is not None and gs[k] is not None:
            g = gs[k] if isinstance(gs[k], tensors.Tensor) else tensors.wrap(gs[k].copy())
            t._grad = g if t._grad is None else t._grad + g


def shown(hook: Hook, g: Any) -> Any:
    """The gradient after one hook: an array stays an array, a Tensor a Tensor."""
    lifted = isinstance(g, tensors.Tensor)
    seen = g if lifted else tensors.wrap(g)
    new = hook(seen)
    if new is None:
        return g
    if not isinstance(new, tensors.Tensor):
        raise TypeError(
            f"a gradient hook must return a Tensor or None, but {hook} returned "
            f"{type(new).__name__}"
        )
    if new.shape != seen.shape:
        raise RuntimeError(
            f"hook '{getattr(hook, '__name__', hook)}' has changed the size of value: it got a "
            f"gradient of shape {seen.shape} and returned {new.shape}"
        )
    return new if lifted else new.array


def add_hook(t: Tensor, hook: Hook) -> RemovableHandle:
    """What Tensor.register_hook does. The hook belongs to the edge, not to the Tensor object."""
    if not t.requires_grad:
        raise RuntimeError(
            "cannot register a hook on a tensor that doesn't require gradient: there is none to "
            "show. Call x.requires_grad_() first."
        )
    node, k = t.edge
    if node.hooks is None:
        node.hooks = Hooks()
    return node.hooks.add(k, hook)


def add_ready_hook(t: Tensor, hook: Any) -> RemovableHandle:
    """What Tensor.register_post_accumulate_grad_hook does."""
    if not t.requires_grad:
        raise RuntimeError(
            "cannot register a hook on a tensor that doesn't require gradient: there is none to "
            "show. Call x.requires_grad_() first."
        )
    if not t.is_leaf:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    node: Any = t.edge[0]
    node.ready_hooks += (hook,)

    def remove() -> None:
        leaf = node.leaf()
        for one in (node, None if leaf is None else leaf._leaf):  # x.data = ... may have renewed it
            if one is not None:
                one.ready_hooks = tuple(h for h in one.ready_hooks if h is not hook)

    return RemovableHandle(remove)


def retain_grad(t: Tensor) -> None:
    """What Tensor.retain_grad does: after all hooks, the gradient is put into t.grad."""
    if not t.requires_grad:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if t._grad_fn is None or t._retains_grad:
        return
    node, k = t.edge
    t._retains_grad = True
    if node.hooks is None:
        node.hooks = Hooks()
    node.hooks.keep(k, t)
