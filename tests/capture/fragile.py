"""An op that breaks when a test wants it to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tinygrad_mmb as tm


class Fragile(tm.autograd.Function):
    """y = x. Names places by a mask, so it is one call of Python at every replay."""

    is_broken = False

    @staticmethod
    def forward(x: Any) -> Any:
        if Fragile.is_broken:
            raise ZeroDivisionError("broken on purpose")
        y = x.copy()
        y[x != x] = 0.0
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g


@contextmanager
def broken() -> Iterator[None]:
    """In here `Fragile` raises a ZeroDivisionError."""
    Fragile.is_broken = True
    try:
        yield
    finally:
        Fragile.is_broken = False
