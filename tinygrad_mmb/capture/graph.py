"""The recorded step: a list of nodes in the order in which they ran, each value named once.

A value is a whole piece of memory at one time. What only looks at memory (a transpose, a slice) is
a "view" of it; what writes into memory gives it a new value. So no value ever changes, and a step
that updates its parameters in place reads as mathematics.

    input    a leaf: a parameter, a state, an argument, a gradient of before, a constant
    view     (x), region             no work: the same memory, looked at through a region
    ufunc    (x, ...), a NumPy ufunc elementwise, or its reduction over `axis`
    copy     (x)                     into memory of its own, with another dtype or layout if asked
    put      (x, source), region     x with the source written into a region
    empty    ()                      memory without values
    call     (...)                   one opaque function of arrays: a twin, or a reference; where it
                                     returns one of them, it may have written into it
    update   (...)                   the same, and it writes into the memory of its `writes`
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tinygrad_mmb.capture.errors import Line

Strides = tuple[int, ...]
NESTS = (tuple, list, dict)


class Region(NamedTuple):
    """A part of a piece of memory: bytes from its start, shape, strides in bytes, dtype."""

    offset: int
    shape: tuple[int, ...]
    strides: Strides
    dtype: Any


class Value:
    """One name. `node` made it, as its output `index`; shape and strides are those of the array."""

    __slots__ = ("dtype", "id", "index", "node", "shape", "strides")

    def __init__(
        self, node: Node, index: int, shape: tuple[int, ...], dtype: Any, strides: Strides
    ) -> None:
        self.node, self.index = node, index
        self.shape, self.dtype, self.strides = shape, dtype, strides
        self.id = -1  # given by the list of nodes

    @property
    def nbytes(self) -> int:
        """The bytes that the array spans in memory."""
        if 0 in self.shape:
            return 0
        last = sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        return int(last + self.dtype.itemsize)

    @property
    def size(self) -> int:
        """How many numbers."""
        n = 1
        for size in self.shape:
            n *= size
        return n

    def __repr__(self) -> str:
        return f"%{self.id}"


@dataclass(eq=False)
class Node:
    """One thing that was done. Values may stand anywhere inside `args` and `options`."""

    kind: str
    name: str  #                              what explain() calls it: "multiply", "CrossEntropy"
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    function: Callable[..., Any] | None = None
    region: Region | None = None
    outputs: list[Value] = field(default_factory=list)
    writes: list[Value] = field(default_factory=list)  # what it (perhaps) overwrites, before ...
    written: list[Value] = field(default_factory=list)  # ... and after
    template: Any = None  #                   call: the shape of what it returned, Values inside
    line: Line = ("", 0)
    alive: bool = True  #                     False once it is taken back
    placed: bool = False  #                   call: C++ does it, and its results have fixed places
    reads: list[Value] | None = None  #       what values() found; None: look again

    def values(self) -> list[Value]:
        """The values it reads."""
        if self.reads is None:
            self.reads = []
            add_values(self.args, self.reads)
            if self.options:
                add_values(self.options, self.reads)
        return self.reads

    def __repr__(self) -> str:
        return f"{self.outputs} = {self.name}{self.args}"


def add_values(tree: Any, found: list[Value]) -> None:
    """Put every Value in nested tuples, lists and dictionaries into a list."""
    for x in tree.values() if type(tree) is dict else tree:
        kind = type(x)
        if kind is Value:
            found.append(x)
        elif issubclass(kind, NESTS):
            add_values(x, found)


def mapped(tree: Any, change: Callable[[Any], Any]) -> Any:
    """The same nesting with every leaf changed."""
    kind = type(tree)  # isinstance would ask a recording for its class, which takes longer
    if kind is tuple or kind is list:
        return kind([mapped(item, change) for item in tree])
    if not issubclass(kind, NESTS):
        return change(tree)
    if issubclass(kind, dict):
        return {k: mapped(item, change) for k, item in tree.items()}
    items = [mapped(item, change) for item in tree]
    if hasattr(kind, "_fields"):
        return kind(*items)
    return items if issubclass(kind, list) else tuple(items)
