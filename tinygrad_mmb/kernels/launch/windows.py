"""Sliding windows as csrc/cuda/windows.cuh describes them to a kernel."""

from __future__ import annotations

import struct
from typing import Any

LIMIT = 2**31 - 2**16  # rows, columns and places, a tile beyond the end too, are C's int


def packed(geometry: Any, size: tuple[int, int], counts: tuple[int, int]) -> bytes:
    """A geometry of tinygrad_mmb/ops/windows.py, for images of `size` with so many windows."""
    pairs = geometry.kernel, geometry.stride, geometry.dilation, geometry.top_left, size, counts
    return struct.pack("12i", *(v for pair in pairs for v in pair))


def fits(geometry: Any, size: tuple[int, int]) -> bool:
    """Whether every number of a geometry and of its images is one of C's int."""
    farthest = [geometry.padded(a, size[a]) + geometry.span(a) for a in (0, 1)]
    return max(*farthest, size[0] * size[1]) < LIMIT


def counts_of(geometry: Any, size: tuple[int, int]) -> tuple[int, int]:
    """How many windows lie along each axis of images of this size."""
    return geometry.windows(0, size[0]), geometry.windows(1, size[1])
