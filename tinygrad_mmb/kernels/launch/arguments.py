"""What wrappers ask of arrays: the suffix of the kernel's name, and how they lie in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array, is_array, namespace
from tinygrad_mmb.backend.arrays import on_device

SUFFIXES = {"e": "f16", "f": "f32", "d": "f64"}  # by dtype.char: dtype.name takes 2.5 µs


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
    return SUFFIXES[x.dtype.char]


def is_float(*arrays: Any, wide: bool = False) -> bool:
    """Whether all arrays (None is left out) have one floating dtype; `wide` leaves out float16."""
    if not all([a is None or is_array(a) for a in arrays]):
        return False  # a NumPy scalar, which 0-d arrays become: its memory does not last
    kinds = {a.dtype.char for a in arrays if a is not None}
    return len(kinds) == 1 and kinds.pop() in ("fd" if wide else "efd")


def are_on_host(value: Any) -> bool:
    """Whether all arrays among these arguments, and the lists and states among them, are NumPy's,
    in the machine's order of bytes and at multiples of their size: what compiled loops may read.
    """
    if isinstance(value, (list, tuple)):
        return all(map(are_on_host, value))
    if isinstance(value, dict):
        return all(map(are_on_host, value.values()))
    if not is_array(value):
        return True
    return not on_device(value) and value.dtype.isnative and value.flags.aligned


def address(x: Array) -> int:
    """Where the memory of x begins."""
    return addresses([x])[0]


def addresses(arrays: Sequence[Array]) -> list[int]:
    """Where the memory of each array begins; they all are NumPy's, or all CuPy's."""
    if on_device(arrays[:1]):
        memory: Sequence[Any] = arrays
        return [x.data.ptr for x in memory]
    return [x.__array_interface__["data"][0] for x in arrays]


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
