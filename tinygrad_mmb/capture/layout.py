"""How operands lie, as the C++ of a replay takes them (csrc/cpu/replay).

What it cannot do raises UnfitError: the instruction is then NumPy's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_mmb.capture.plan import Operand

FLOATS = {np.dtype(np.float32), np.dtype(np.float64)}  # in the byte order of this machine


class UnfitError(Exception):
    """What the C++ cannot do: NumPy does it."""


def where(x: Operand) -> tuple[int, int, list[int]]:
    """Buffer, offset and strides as the C++ takes them."""
    return x.buffer, x.offset, list(x.strides)


def is_float(dtype: Any) -> bool:
    """Whether the C++ computes in this type."""
    return dtype in FLOATS


def span(x: Operand) -> tuple[int, int]:
    """First byte, and the one behind the last."""
    if 0 in x.shape:
        return x.offset, x.offset
    reach = [(n - 1) * s for n, s in zip(x.shape, x.strides, strict=True)]
    first = x.offset + sum(r for r in reach if r < 0)
    return first, x.offset + sum(r for r in reach if r > 0) + x.dtype.itemsize


def in_rows(x: Operand) -> bool:
    """Whether the elements lie one behind the other, row by row."""
    step = x.dtype.itemsize
    for n, s in zip(reversed(x.shape), reversed(x.strides), strict=True):
        if n != 1 and s != step:
            return False
        step *= n
    return True


def along(x: Operand, shape: tuple[int, ...]) -> list[int]:
    """The strides of an operand broadcast to `shape`."""
    if len(x.shape) > len(shape):
        raise UnfitError
    more = len(shape) - len(x.shape)
    sizes = list(zip(x.shape, shape[more:], x.strides, strict=True))
    if any(n not in (1, size) for n, size, _ in sizes):
        raise UnfitError
    return [0] * more + [s if n == size else 0 for n, size, s in sizes]
