"""Which ops are also methods of Tensor: tools/write_methods.py makes methods.py of this table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])


class Method(NamedTuple):
    """An op that Tensor offers as x.name(...), and perhaps as x.name_(...), which writes into x."""

    function: Callable[..., Any]
    inplace: bool


METHODS: dict[str, Method] = {}


@overload
def method(function: F, /) -> F: ...
@overload
def method(*, inplace: bool = False) -> Callable[[F], F]: ...
def method(function: Any = None, /, *, inplace: bool = False) -> Any:
    """Declare the function below as a method of Tensor; its first parameter becomes self."""

    def declare(f: F) -> F:
        METHODS[f.__name__] = Method(f, inplace)
        return f

    return declare if function is None else declare(function)
