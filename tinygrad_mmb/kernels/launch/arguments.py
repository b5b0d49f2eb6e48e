"""What wrappers ask of arrays: the suffix of the kernel's name, and how they lie in memory."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.backend import Array, namespace

SUFFIXES = {"float16": "f16", "float32": "f32", "float64": "f64"}


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


def contiguous(x: Array) -> Array:
    """x with its last dimension innermost: itself if it lies so, else a copy, which is counted."""
    if x.flags.c_contiguous:
        return x
    Copies.count += 1
    return namespace(x).ascontiguousarray(x)
