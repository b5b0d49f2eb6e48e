"""Is recording on? One context variable, so every thread and task has its own answer."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

recording: ContextVar[bool] = ContextVar("recording", default=True)


class GradMode:
    """Records operations, or not, in a with statement or in the function it decorates."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode
        self._tokens: list[Token[bool]] = []

    def __enter__(self) -> None:
        self._tokens.append(recording.set(self.mode))

    def __exit__(self, *exc: object) -> None:
        recording.reset(self._tokens.pop())

    def __call__(self, function: F) -> F:
        if isgeneratorfunction(function):
            return generating(function, self.mode)  # type: ignore[return-value]

        @wraps(function)
        def in_this_mode(*args: Any, **kwargs: Any) -> Any:
            with GradMode(self.mode):
                return function(*args, **kwargs)

        return in_this_mode  # type: ignore[return-value]


def generating(function: Callable[..., Any], mode: bool) -> Callable[..., Any]:
    """A generator that runs in this mode, and leaves the caller's as it is between its values."""

    @wraps(function)
    def in_this_mode(*args: Any, **kwargs: Any) -> Any:
        source = function(*args, **kwargs)
        proceed, given = source.send, None
        while True:
            with GradMode(mode):
                try:
                    value = proceed(given)
                except StopIteration as stop:
                    return stop.value
            try:
                proceed, given = source.send, (yield value)
            except GeneratorExit:
                source.close()
                raise
            except BaseException as error:
                proceed, given = source.throw, error

    return in_this_mode


class no_grad(GradMode):  # noqa: N801 - PyTorch's name
    """Nothing inside is recorded: `with no_grad():`, or @no_grad() above a function."""

    def __init__(self) -> None:
        super().__init__(False)

    def __new__(cls, function: Any = None) -> Any:
        return super().__new__(cls) if function is None else GradMode(False)(function)


class enable_grad(GradMode):  # noqa: N801 - PyTorch's name
    """Record again inside a no_grad block: `with enable_grad():`, or @enable_grad()."""

    def __init__(self) -> None:
        super().__init__(True)

    def __new__(cls, function: Any = None) -> Any:
        return super().__new__(cls) if function is None else GradMode(True)(function)


class set_grad_enabled(GradMode):  # noqa: N801 - PyTorch's name
    """Switch recording on or off, from here on or, in a with statement, to its end."""

    def __init__(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            raise TypeError(f"set_grad_enabled takes True or False, not {type(mode).__name__}")
        super().__init__(mode)
        self._before = recording.get()
        recording.set(self.mode)

    def __enter__(self) -> None:
        """Switched already."""

    def __exit__(self, *exc: object) -> None:
        recording.set(self._before)

    def __call__(self, function: F) -> F:
        recording.set(self._before)  # as a decorator it concerns the function only
        return super().__call__(function)


def is_grad_enabled() -> bool:
    """Whether operations are being recorded now."""
    return recording.get()
