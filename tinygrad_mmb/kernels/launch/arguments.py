"""What wrappers ask of arrays: the suffix of the kernel's name, and how they lie in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array, is_array, namespace
from tinygrad_mmb.backend.arrays import on_device

SUFFIXES = {"float16": "f16", "float32": "f32", "float64": "f64"}


class ByValue(bytes):
    """An object that a kernel takes by value, with the arrays whose addresses stand in it."""

    arrays: tuple[Array, ...] = ()

    @classmethod
    def of(cls, memory: bytes, arrays: tuple[Array, ...]) -> ByValue:
        """The object in C's layout; the arrays live as long as it does."""
        made = cls(memory)
        made.arrays = arrays
        return made


class Copies:
    """How many arrays had to be copied because a kernel takes contiguous ones only."""

    count = 0


def suffix(x: Array) -> str:
    """As in softmax_rows_f32: what the kernel of this dtype ends in."""
    return SUFFIXES[x.dtype.name]


def is_float(*arrays: Any, wide: bool = False) -> bool:
    """Whether all arrays (None is left out) have one floating dtype; `wide` leaves out float16."""
    names = {a.dtype.name for a in arrays if a is not None}
    allowed = SUFFIXES.keys() - {"float16"} if wide else SUFFIXES.keys()
    return len(names) == 1 and names <= allowed


def address(x: Array) -> int:
    """Where the memory of x begins."""
    if on_device(x):
        return int(x.data.ptr)  # type: ignore[attr-defined]
    return int(x.__array_interface__["data"][0])


def arrays_in(arguments: Sequence[Any]) -> list[Array]:
    """The arrays that a kernel is handed, those inside of objects among them."""
    found: list[Array] = []
    for a in arguments:
        found += a.arrays if isinstance(a, ByValue) else [a] if is_array(a) else []
    return found


def contiguous(x: Array) -> Array:
    """x with its last dimension innermost: itself if it lies so, else a copy, which is counted."""
    if x.flags.c_contiguous:
        return x
    Copies.count += 1
    return namespace(x).ascontiguousarray(x)
