"""Forward hooks: functions of yours that see, and may change, what goes in and comes out."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, Self

numbers = count()  # of hooks, in order of registration


class HookHandle:
    """Takes a hook away again: `handle.remove()`, or the end of `with handle:`."""

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        self.hooks, self.id = hooks, next(numbers)
        hooks[self.id] = hook

    def remove(self) -> None:
        self.hooks.pop(self.id, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class ForwardHooks:
    """The part of Module that keeps hooks and runs them around forward."""

    _forward_hooks: dict[int, Any]  #          both are made when the first hook comes
    _forward_pre_hooks: dict[int, Any]

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the module computes; every subclass writes its own."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function: write '
            "def forward(self, x): ... in the class"
        )

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        attributes = self.__dict__
        if "_forward_hooks" in attributes or "_forward_pre_hooks" in attributes:
            return self._call_with_hooks(inputs, options)
        return self.forward(*inputs, **options)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call `hook(module, inputs)` before forward; what it returns goes in instead."""
        return self._add_hook("_forward_pre_hooks", hook, prepend, with_kwargs)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call `hook(module, inputs, output)` after forward; what it returns comes out instead."""
        return self._add_hook("_forward_hooks", hook, prepend, with_kwargs)

    def _add_hook(self, kind: str, hook: Any, prepend: bool, with_kwargs: bool) -> HookHandle:
        hooks = self.__dict__.setdefault(kind, {})
        handle = HookHandle(hooks, (hook, with_kwargs))
        if prepend:
            others = {k: hooks.pop(k) for k in list(hooks) if k != handle.id}
            hooks.update(others)
        return handle

    def _call_with_hooks(self, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        for hook, with_kwargs in list(vars(self).get("_forward_pre_hooks", {}).values()):
            if with_kwargs:
                result = hook(self, inputs, options)
                if result is not None:
                    inputs, options = result
            elif (result := hook(self, inputs)) is not None:
                inputs = result if isinstance(result, tuple) else (result,)
        output = self.forward(*inputs, **options)
        for hook, with_kwargs in list(vars(self).get("_forward_hooks", {}).values()):
            args = (self, inputs, options, output) if with_kwargs else (self, inputs, output)
            result = hook(*args)
            output = output if result is None else result
        return output
