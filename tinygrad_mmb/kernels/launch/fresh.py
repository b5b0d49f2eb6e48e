"""Arrays that nobody has written yet, for the checker.

A wrapper asks for its outputs by `empty` or `empty_like` of the arrays' own library. While the
checker is on, NumPy's two functions fill what they give with a value that no computation leaves: of
floats a signalling NaN, of integers an unlikely number. Elements that still hold it when a kernel
starts, or when its wrapper returns, nobody has written. So no wrapper has to know of it, and an
array that NumPy has filled since counts as written.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.launch.arguments import address

UNTOUCHED = {  # as unsigned integers of the element's size. uint16 may hold bfloat16: a NaN, too
    ("f", 2): 0x7D5A,
    ("f", 4): 0x7FA5A5A5,
    ("f", 8): 0x7FF4A5A5A5A5A5A5,
    ("i", 2): 0x7F9A,
    ("i", 4): 0xA5A5A5A5,
    ("i", 8): 0xA5A5A5A5A5A5A5A5,
}


def untouched(array: Array) -> int | None:
    """The value that an element of this dtype has until it is written; None: it has none."""
    kind = array.dtype.kind
    return UNTOUCHED.get(("i" if kind == "u" else kind, array.dtype.itemsize))


@dataclass
class Fresh:
    """An array of `empty`."""

    array: weakref.ref[Array]
    start: int
    nbytes: int
    value: int
    itemsize: int
    kernel: str = ""  # that was handed it last, to write it


_alive: dict[int, Fresh] = {}  # by address
_watching = 0
_lock = Lock()


def is_watching() -> bool:
    """Whether `empty` and `empty_like` are watched now."""
    return _watching > 0


def remember(array: Array) -> Array:
    """The array, filled and known as fresh, if it is one that we can tell from written ones."""
    value = untouched(array) if type(array) is namespace().ndarray else None
    if value is None or array.size == 0:
        return array
    array.view(f"u{array.itemsize}")[...] = value
    start = address(array)
    gone = weakref.ref(array, lambda _: _alive.pop(start, None))
    _alive[start] = Fresh(gone, start, array.nbytes, value, array.itemsize)
    return array


def holding(start: int) -> Fresh | None:
    """The fresh array in which an address lies."""
    for fresh in list(_alive.values()):
        if fresh.start <= start < fresh.start + fresh.nbytes:
            return fresh
    return None


def first_unwritten(array: Array) -> tuple[int, tuple[int, ...]] | None:
    """How many elements nobody has written, and the index of the first of them; None: none."""
    fresh, value = holding(address(array)), untouched(array)
    if fresh is None or value is None or array.itemsize != fresh.itemsize:
        return None
    is_left = array.view(f"u{array.itemsize}") == value
    if not is_left.any():
        return None
    first = namespace(array).argwhere(is_left)[0]
    return int(is_left.sum()), tuple(int(i) for i in first)


@contextmanager
def watched() -> Iterator[None]:
    """Inside, NumPy's `empty` and `empty_like` give arrays that are known as fresh."""
    global _watching
    library: Any = namespace()
    with _lock:
        if not _watching:
            library.empty, library.empty_like = empty, empty_like
        _watching += 1
    try:
        yield
    finally:
        with _lock:
            _watching -= 1
            if not _watching:
                library.empty, library.empty_like = _EMPTY, _EMPTY_LIKE
                _alive.clear()


_EMPTY, _EMPTY_LIKE = namespace().empty, namespace().empty_like


def empty(*args: Any, **options: Any) -> Array:
    """numpy.empty, remembered."""
    return remember(_EMPTY(*args, **options))


def empty_like(*args: Any, **options: Any) -> Array:
    """numpy.empty_like, remembered."""
    return remember(_EMPTY_LIKE(*args, **options))
