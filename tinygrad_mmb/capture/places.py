"""x[key]: which keys look at memory, and what the others do."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_tuple(key: Any) -> tuple[Any, ...]:
    """An index as a tuple."""
    return key if isinstance(key, tuple) else (key,)


def is_basic(key: Any) -> bool:
    """Whether an index is made of whole numbers, slices, None and Ellipsis."""
    return all(
        k is None or k is ... or (isinstance(k, (int, np.integer, slice)) and k is not True
                                  and k is not False)
        for k in as_tuple(key)
    )  # fmt: skip


def is_whole(key: Any) -> bool:
    """Whether an index selects all there is."""
    return all(k is ... or (isinstance(k, slice) and k == slice(None)) for k in as_tuple(key))


def take_places(x: Any, key: Any) -> Any:
    """x[key]."""
    return x[key]


def put_places(x: Any, key: Any, source: Any) -> Any:
    """x after x[key] = source."""
    y = x.copy(order="K")
    y[key] = source
    return y
