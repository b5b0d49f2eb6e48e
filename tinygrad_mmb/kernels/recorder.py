"""Who watches a step: nobody, or the capture that traces it.

Three places ask: Function.apply before it runs a reference, the optimizers and dropout where the
host makes a number anew at every step. What is faster than them (Function.apply in C) must leave
the work to them while `active` is set.
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


active: Recorder | None = None  # set while some thread traces


def host(read: Callable[..., Any], *args: Any) -> Any:
    """read(*args), a number that the host makes anew at every step: t, lr, the key of a mask.

    A captured step calls `read` again at each replay; a bare number would stay what it was.
    """
    return read(*args) if active is None else active.host(read, args)
