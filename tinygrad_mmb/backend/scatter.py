"""Adding at places that may come several times: y[places] += x, every repetition counted."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_mmb.backend.arrays import Array, bool_, int64, namespace


def add_at(y: Array, places: Any, x: Array) -> None:
    """Add x to y at an index of slices and integer arrays, in place.

    On a GPU the additions are sorted by their place, and each place sums its own: atomic additions
    of floats come in another order, and so to other digits, in every run.
    """
    if isinstance(y, np.ndarray):
        np.add.at(y, places, x)
        return
    xp = namespace(y)
    number = xp.arange(y.size, dtype=int64).reshape(y.shape)[places]  # of each place in y
    values = xp.broadcast_to(x, number.shape).ravel()
    number = number.ravel()
    if not number.size:
        return
    order = number.argsort()  # CuPy's sort is stable
    number, values = number[order], values[order]
    first = xp.ones(number.shape, bool_)
    first[1:] = number[1:] != number[:-1]
    starts = xp.flatnonzero(first)
    flat = y.reshape(-1)  # a copy, unless y lies in rows
    flat[number[starts]] += xp.add.reduceat(values, starts, dtype=y.dtype)
    if not y.flags.c_contiguous:
        y[...] = flat.reshape(y.shape)
