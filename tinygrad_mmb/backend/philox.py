"""Random bits as a function of a key and a place: Philox4x64-10, NumPy's, on the host.

csrc/cuda/philox.cuh draws the same bits on a GPU, so that a mask need not be stored or copied.
Source: Salmon, Moraes, Dror, Shaw, Parallel random numbers: as easy as 1, 2, 3, 2011.
"""

from __future__ import annotations

import math
import threading

import numpy as np

from tinygrad_mmb.backend.arrays import Array

ALL = 2**32  # how many numbers 32 bits can tell apart
LITTLE_ENDIAN, HALVES = np.dtype("<u8"), np.dtype("<u4")


class Stream(threading.local):
    """One generator per thread: making one takes 9 µs, setting its key 1 µs."""

    def __init__(self) -> None:
        self.philox = np.random.Philox(key=0)
        self.start = self.philox.state
        self.key = self.start["state"]["key"]


_stream = Stream()


def bits(key: int, n: int) -> Array:
    """The first n numbers of 32 bits of numpy.random.Philox(key=key)."""
    stream = _stream
    stream.key[0], stream.key[1] = key % 2**64, key >> 64
    stream.philox.state = stream.start
    words = stream.philox.random_raw((n + 1) // 2)
    return words.astype(LITTLE_ENDIAN, copy=False).view(HALVES)[:n]


def threshold_of(p: float) -> int:
    """32 random bits lie below this with probability p, to 2⁻³³."""
    return round(p * ALL)


def kept(shape: tuple[int, ...], p: float, key: int) -> Array:
    """True with probability 1 - p, in the order of the elements: the i-th takes the i-th bits."""
    threshold = threshold_of(p)
    if threshold in (0, ALL):
        return np.full(shape, threshold == 0)
    return (bits(key, math.prod(shape)) >= np.uint32(threshold)).reshape(shape)
