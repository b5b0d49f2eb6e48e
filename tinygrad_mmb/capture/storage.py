"""Memory: what a piece of it holds at a point of the step, and how arrays look at it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_mmb.capture.graph import Region, Value


class Storage:
    """A piece of memory, and what it holds at this point of the step."""

    __slots__ = ("first", "initial", "root", "value", "versions")

    def __init__(self, root: Any, value: Value) -> None:
        self.root, self.value, self.first = root, value, value
        self.versions: list[Value] = []  # what was written into it since
        self.initial: Any = None  # of an input that is written: what it held before

    @property
    def version(self) -> int:
        """How often it was written into."""
        return len(self.versions)

    def holds(self, value: Value) -> None:
        """Note a write."""
        self.value = value
        self.versions.append(value)

    @property
    def is_input(self) -> bool:
        """Whether the step found it, rather than made it."""
        return self.first.node.kind == "input"


def span(array: Any) -> tuple[int, int]:
    """First address of an array, and the one behind its last."""
    start = array.__array_interface__["data"][0]
    if array.flags.c_contiguous:
        return start, start + array.nbytes
    low, high = np.lib.array_utils.byte_bounds(array)
    return low, high


def region_of(array: Any, root: Any) -> Region | None:
    """How `array` looks at the memory of `root`; None if it is the whole, as it lies there."""
    offset = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    same = array.shape == root.shape and array.strides == root.strides
    if same and not offset and array.dtype == root.dtype:
        return None
    return Region(offset, array.shape, array.strides, array.dtype)


def shares(array: Any, source: Any) -> bool:
    """Whether the result of a function of shape looks at the memory of its argument."""
    return bool(array.size) and bool(np.may_share_memory(array, source))
