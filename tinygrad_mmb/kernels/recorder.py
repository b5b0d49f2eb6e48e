"""Who watches a step: nobody, or the capture that traces it.

Four places ask: Function.apply before it runs a reference, the optimizers and dropout where the
host makes a number anew at every step, and the checks of classes and indices. What is faster than
they are (Function.apply in C) must leave the work to them while `active` is set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Recorder(Protocol):
    """What a capture does while it traces a step."""

    def reference(self, function: Any) -> Callable[..., Any]:
        """What to run instead of `function.forward`."""

    def host(self, read: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """What to go on with instead of the number that `read(*args)` returns."""


class Listener(Protocol):
    """What a capture does while a step runs on a GPU that may become a CUDA graph."""

    def answer(self, ask: Callable[..., Any], array: Any, args: tuple[Any, ...]) -> Any:
        """What to go on with instead of ask(array, *args)."""


active: Recorder | None = None  # set while some thread traces
questions: Listener | None = None  # set while some thread runs such a step


def host(read: Callable[..., Any], *args: Any) -> Any:
    """read(*args), a number that the host makes anew at every step: t, lr, the key of a mask.

    A captured step calls `read` again at each replay; a bare number would stay what it was.
    """
    return read(*args) if active is None else active.host(read, args)


def answer(ask: Callable[..., Any], array: Any, *args: Any) -> Any:
    """ask(array, *args): yes or no about numbers, which the host must know before it goes on.

    On a GPU it waits for them. A CUDA graph cannot: there it is asked of the argument of the step,
    before the graph is launched.
    """
    return ask(array, *args) if questions is None else questions.answer(ask, array, args)
