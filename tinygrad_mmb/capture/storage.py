"""Memory: what a piece of it holds at a point of the step, and how arrays look at it."""

from __future__ import annotations

import bisect
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mmb.capture.graph import Region, Value

if TYPE_CHECKING:
    from tinygrad_mmb.capture.names import Names


class Storage:
    """A piece of memory, and what it holds at this point of the step.

    Memory that the step found is kept (`root`). What the step made itself is not: a traced step
    needs no more memory than a plain one.
    """

    __slots__ = ("first", "initial", "root", "value", "versions")

    def __init__(self, value: Value, root: Any = None) -> None:
        self.value, self.first, self.root = value, value, root
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
        return self.root is not None

    def beginning(self) -> int:
        """The digest of what an input held when the step began."""
        if type(self.initial) is int:
            return self.initial
        return digest(self.root if self.initial is None else self.initial)

    def settle(self) -> None:
        """Of what an input held when the step began, keep the digest only."""
        if self.initial is not None:
            self.initial = self.beginning()


class Look:
    """How an array looks at a storage: at the whole of it, or at a region."""

    __slots__ = ("_name", "_version", "region", "storage")

    def __init__(self, storage: Storage, region: Region | None) -> None:
        self.storage, self.region = storage, region
        self._name: Value | None = None
        self._version = -1

    def name(self, names: Names) -> Value:
        """The value that stands here now."""
        storage = self.storage
        if self.region is None:
            return storage.value
        if self._name is None or self._version != storage.version or not self._name.node.alive:
            self._name, self._version = names.look(self), storage.version
        return self._name


def address(array: Any) -> int:
    """Where an array begins."""
    start: int = array.__array_interface__["data"][0]
    return start


def span(array: Any) -> tuple[int, int]:
    """First address of an array, and the one behind its last."""
    if array.flags.c_contiguous:
        start = address(array)
        return start, start + array.nbytes
    low, high = np.lib.array_utils.byte_bounds(array)
    return low, high


class Spans:
    """The memory of some arrays that stay where they are."""

    def __init__(self, arrays: Iterable[Any]) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []
        for start, end in sorted([span(x) for x in arrays if x.size]):
            if self.ends and start < self.ends[-1]:
                self.ends[-1] = max(self.ends[-1], end)
            else:
                self.starts.append(start)
                self.ends.append(end)

    def meets(self, array: Any) -> bool:
        """Whether an array begins before one of them ends, and ends after it begins."""
        if not array.size:
            return False
        start, end = span(array)
        at = bisect.bisect_right(self.ends, start)
        return at < len(self.starts) and self.starts[at] < end


def owner(array: Any) -> Any:
    """The array whose memory this is."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def region_of(array: Any, storage: Storage, offset: int) -> Region | None:
    """How `array` looks at a storage, `offset` bytes behind its start; None if it is the whole."""
    whole = storage.first
    same = array.shape == whole.shape and array.strides == whole.strides
    if same and not offset and array.dtype == whole.dtype:
        return None
    return Region(offset, array.shape, array.strides, array.dtype)


def shares(array: Any, source: Any) -> bool:
    """Whether the result of a function of shape looks at the memory of its argument."""
    return bool(array.size) and bool(np.may_share_memory(array, source))


def digest(array: Any) -> int:
    """A number that tells, but once in 2³², whether an array has changed: 4 GB/s and no copy."""
    rows: Any = np.ascontiguousarray(array)
    return zlib.crc32(rows)


def bits_equal(a: Any, b: Any) -> bool:
    """The same bytes, whatever the layout."""
    if a is b:
        return True
    a, b = (np.ascontiguousarray(x).reshape(-1).view(np.uint8) for x in (a, b))
    return bool(np.array_equal(a, b))
