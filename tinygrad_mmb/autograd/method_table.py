"""Which ops are also methods of Tensor: tools/write_methods.py makes methods.py of this table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])


class Method(NamedTuple):
    """An op that Tensor offers as x.name(...), and perhaps as x.name_(...), which writes into x."""

    function: Callable[..., Any]
    inplace: bool
    sizes: bool  # x.name(2, 3) is name(x, (2, 3))


METHODS: dict[str, Method] = {}


@overload
def method(function: F, /) -> F: ...
@overload
def method(*, inplace: bool = False, sizes: bool = False) -> Callable[[F], F]: ...
def method(function: Any = None, /, *, inplace: bool = False, sizes: bool = False) -> Any:
    """Declare the function below as a method of Tensor; its first parameter becomes self."""

    def declare(f: F) -> F:
        METHODS[f.__name__] = Method(f, inplace, sizes)
        return f

    return declare if function is None else declare(function)


def gathered(sizes: tuple[Any, ...]) -> tuple[Any, ...]:
    """Of a method's arguments, the one of its function: (2, 3) for x.view(2, 3), x.view((2, 3))."""
    if len(sizes) == 1 and not hasattr(sizes[0], "__index__"):
        return sizes
    return (sizes,) if sizes else ()
