"""Which array is which value: the names of a recorded step, and the list of its nodes.

Every array is known by its memory. A storage is one piece of memory: its value is what it holds
now, and a write gives it a new one. A recording is the storage itself or looks at a region of it,
so views see each other's writes, as in NumPy. What is known of an array is forgotten when the
array is: its memory may belong to another one soon.
"""

from __future__ import annotations

import bisect
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from tinygrad_mmb.capture.errors import CaptureError, UntraceableError, said, user_line
from tinygrad_mmb.capture.graph import Node, Value
from tinygrad_mmb.capture.recording import Recording
from tinygrad_mmb.capture.storage import Look, Storage, address, digest, owner, region_of, span


class Known(weakref.ref[Any]):
    """An array that lives, and what is known of it."""

    __slots__ = ("key", "look", "number", "recording", "scalar")

    key: int  #                                       its id
    number: int  #                                    the how manieth it was
    look: Look
    scalar: bool  #                                   where NumPy had made a scalar of it
    recording: weakref.ref[Recording] | None


class Names:
    """The arrays that a step has met, and the nodes that it has written down.

    `expected` tells, by id, of arrays and the digest of what they hold when the step begins.
    """

    def __init__(self, expected: dict[int, tuple[Any, int]]) -> None:
        self.expected = expected
        self.nodes: list[Node] = []
        self.inputs: list[Storage] = []  #   the memory that the step found, as it was met
        self.overlaps: list[tuple[Storage, Any]] = []  # inputs that share part of their memory
        self.done = False
        self.thread = threading.get_ident()
        self.paused = 0  #   the true arrays are computed with, unseen
        self.inside = 0  #   in the forward of an op: what cannot be looked into is one call
        self._count = 0  #   of arrays that were ever known
        self._known: dict[int, Known] = {}
        self._drop = partial(dropped, self._known)
        self._objects: dict[int, tuple[Any, Value]] = {}  # by-products of calls that are no arrays
        self._new: list[tuple[Storage, weakref.ref[Any]]] = []  # not among the _spans yet
        self._starts: list[int] = []
        self._spans: list[tuple[int, int, Storage]] = []  # (end, address, ...), as in _starts
        self._owners: dict[Storage, tuple[int, weakref.ref[Any]]] = {}  # and where it begins
        self._freed: list[Storage] = []  # at any moment, as garbage is collected at any

    # -- who is being recorded

    @property
    def listens(self) -> bool:
        """Whether this thread is being recorded at this moment."""
        return not self.paused and not self.done and threading.get_ident() == self.thread

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Compute on the true arrays without recording."""
        self.paused += 1
        try:
            yield
        finally:
            self.paused -= 1

    def untraceable(self, what: str) -> Exception:
        """What to raise for what cannot be recorded: inside an op, it becomes one call."""
        if self.inside:
            return UntraceableError()
        return CaptureError(
            f"{said(user_line())}: {what}, which a capture cannot follow. Put it into the forward "
            "of a Function, or pass fallback=True to run such steps eagerly."
        )

    # -- names

    def named(self, x: Any) -> Any:
        """What stands for x in a node: a Value, a Scalar, or x itself if it is no array."""
        if type(x) is Recording:
            return x.look.name(self)
        if isinstance(x, np.ndarray):
            return self.enter(x).look.name(self)
        return self._objects[id(x)][1] if id(x) in self._objects else x

    def look(self, at: Look) -> Value:
        """The value of a region of a storage."""
        region: Any = at.region
        node = self.emit("view", "view", (at.storage.value,), region=region)
        value = Value(node, 0, region.shape, region.dtype, region.strides)
        node.outputs.append(value)
        return value

    def emit(self, kind: str, name: str, args: Any, options: Any = None, **more: Any) -> Node:
        """Write down one node."""
        node = Node(kind, name, args, options or {}, line=user_line(), **more)
        self.nodes.append(node)
        return node

    def output(self, node: Node, array: Any) -> Value:
        """One more output of a node, described by its array, or by a value like it."""
        value = Value(node, len(node.outputs), array.shape, array.dtype, array.strides)
        node.outputs.append(value)
        return value

    # -- arrays

    def fresh(self, node: Node, array: Any) -> Recording:
        """The output of a node in memory of its own."""
        scalar = not isinstance(array, np.ndarray)
        if scalar:
            array = np.asarray(array)
        storage = Storage(self.output(node, array), array if node.kind == "input" else None)
        if storage.root is not None:
            self.inputs.append(storage)
        x = self.keep(array, Look(storage, None), scalar)
        if array.base is None:  # most die before anybody asks where they lay
            self._new.append((storage, self._known[id(array)]))
        else:
            self._lies(storage, array)
        return x

    def keep(self, array: Any, look: Look, scalar: bool = False) -> Recording:
        """Know an array from now on, as long as it lives."""
        x = Recording(self, array, look, scalar)
        known = Known(array, self._drop)
        known.key, known.look, known.scalar = id(array), look, scalar
        known.recording, known.number = weakref.ref(x), self._count
        self._count += 1
        self._known[id(array)] = known
        return x

    def looking(self, array: Any, x: Recording, scalar: bool = False) -> Recording:
        """Know an array that looks at the memory of x."""
        storage, region = x.look.storage, x.look.region
        offset = address(array) - address(x.value) + (0 if region is None else region.offset)
        return self.keep(array, Look(storage, region_of(array, storage, offset)), scalar)

    def known(self, array: Any) -> Recording | None:
        """The recording of an array that was met before: the same one while anybody has it."""
        known = self._known.get(id(array))
        if known is None:
            return None
        x = None if known.recording is None else known.recording()
        if x is None:
            x = Recording(self, array, known.look, known.scalar)
            known.recording = weakref.ref(x)
        return x

    def around(self, array: Any) -> Recording | None:
        """The recording of an array that lies in memory that is known."""
        x = self.known(array)
        if x is not None or not array.size:
            return x
        self._settle()
        start, end = span(array)
        at = bisect.bisect_right(self._starts, start) - 1
        for k in (at, at + 1):
            if not 0 <= k < len(self._starts):
                continue
            other_end, root, storage = self._spans[k]
            if start >= self._starts[k] and end <= other_end:
                region = region_of(array, storage, address(array) - root)
                return self.keep(array, Look(storage, region))
            if start < other_end and self._starts[k] < end:
                self.overlaps.append((storage, array))
        return None

    def enter(self, array: Any, seen: bool = False) -> Recording:
        """The recording of an array of the outside world. `seen`: a Tensor holds it."""
        if not isinstance(array, np.ndarray):
            raise CaptureError(
                f"{said(user_line())}: capture runs steps on the CPU, and an array of shape "
                f"{array.shape} is a {type(array).__module__} array. Run this step as it is."
            )
        x = self.around(array)
        if x is None:
            if self.inside and not seen:
                raise UntraceableError
            if id(array) in self.expected:
                self._check_unseen(array, self.expected[id(array)][1])
            x = self.fresh(self.emit("input", "input", ()), array)
        return x

    def _check_unseen(self, array: Any, before: int) -> None:
        if digest(array) != before:
            raise CaptureError(
                f"{said(user_line())}: an array of shape {array.shape} was changed in this step by "
                "code that the capture cannot see: it computes with a NumPy array that it held "
                "from before. Take it from the Tensor inside the step, or change it outside."
            )

    # -- writing

    def before_write(self, x: Recording) -> None:
        """Keep what an input held, for a refusal to put back."""
        storage = x.look.storage
        if self.inside and (storage.is_input or not covers(x)):
            raise UntraceableError
        if not x.value.flags.writeable:
            return  # NumPy will say it
        if storage.is_input and storage.initial is None:
            storage.initial = storage.root.copy(order="K")

    def wrote(self, x: Recording, node: Node) -> None:
        """The output of `node` is what x holds from now on."""
        value = self.output(node, x.value)
        storage = x.look.storage
        if x.look.region is not None:
            node = self.emit("put", "put", (storage.value, value), region=x.look.region)
            value = self.output(node, storage.first)
        storage.holds(value)

    # -- forgetting

    def _lies(self, storage: Storage, array: Any) -> None:
        """Note where the memory of a storage is, until it is freed."""
        if array.size:
            start, end = span(array)
            at = bisect.bisect_left(self._starts, start)
            self._starts.insert(at, start)
            self._spans.insert(at, (end, address(array), storage))
            gone = partial(noted, self._freed, storage)
            self._owners[storage] = start, weakref.ref(owner(array), gone)

    def _settle(self) -> None:
        """Where all memory lies that is known, and no other: it may belong to others by now."""
        while self._freed:
            storage = self._freed.pop()
            if storage in self._owners:
                start, _ = self._owners.pop(storage)
                at = bisect.bisect_left(self._starts, start)
                while self._spans[at][2] is not storage:
                    at += 1
                del self._starts[at], self._spans[at]
        for storage, array in self._new:
            if (lives := array()) is not None:
                self._lies(storage, lives)
        self._new.clear()

    def mark(self) -> tuple[int, ...]:
        """How far the recording has come."""
        return len(self.nodes), len(self.inputs), self._count

    def take_back(self, mark: tuple[int, ...]) -> None:
        """Forget what was recorded since."""
        nodes, inputs, count = mark
        for node in self.nodes[nodes:]:
            node.alive = False
        late = [known for known in self._known.values() if known.number >= count]
        for known in late:
            del self._known[known.key]
        self._settle()
        self._freed += [s for _, _, s in self._spans if not s.first.node.alive]
        del self.nodes[nodes:], self.inputs[inputs:]

    def forget(self) -> None:
        """Let go of all arrays: the recording is done, and its nodes need none."""
        for held in (self.inputs, self.overlaps, self._known, self._objects, self._owners,
                     self._new, self._starts, self._spans, self._freed):  # fmt: skip
            held.clear()
        self.expected = {}


def dropped(table: dict[int, Known], known: Known) -> None:
    """An array has died."""
    if table.get(known.key) is known:
        del table[known.key]


def noted(freed: list[Storage], storage: Storage, _: Any) -> None:
    """The memory of a storage is no longer there."""
    freed.append(storage)


def covers(x: Recording) -> bool:
    """Whether a recording stands for every number of its storage."""
    region = x.look.region
    return region is None or (
        x.nbytes == x.look.storage.first.nbytes and 0 not in region.strides  # no number twice
    )
