"""Where each value lies: one arena, in which memory is used again as soon as nobody reads it.

Values of inputs that live outside (parameters, states) stay there; results of calls are new arrays
at each replay. Everything else has an offset. Gradients are the last to be written, so they often
take the places of activations.
"""

from __future__ import annotations

import bisect

import numpy as np

from tinygrad_mmb.capture.graph import Node, Value
from tinygrad_mmb.capture.simplify import Program, is_elementwise

WRITES_TO = {np.dot, np.stack, np.concatenate}  # functions of NumPy that take out=
ALIGNMENT = 64  # a cache line, and the widest vector
COPIED = ("argument", "gradient")  # inputs that are copied into the arena when a replay begins


class Free:
    """The free pieces of the arena, and its size so far."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, int]] = []  # (offset, bytes), sorted
        self.size = 0

    def take(self, nbytes: int) -> int:
        """The smallest free piece that is large enough, or new memory at the end."""
        nbytes = rounded(nbytes)
        best = min((p for p in self.pieces if p[1] >= nbytes), key=lambda p: p[1], default=None)
        if best is not None:
            self.pieces.remove(best)
            offset, size = best
            if size > nbytes:
                bisect.insort(self.pieces, (offset + nbytes, size - nbytes))
            return offset
        if self.pieces and sum(self.pieces[-1]) == self.size:  # grow the last piece
            offset, _ = self.pieces.pop()
        else:
            offset = self.size
        self.size = offset + nbytes
        return offset

    def give(self, offset: int, nbytes: int) -> None:
        """Free a piece, and join it with its neighbours."""
        nbytes = rounded(nbytes)
        at = bisect.bisect(self.pieces, (offset, 0))
        if at < len(self.pieces) and self.pieces[at][0] == offset + nbytes:
            nbytes += self.pieces.pop(at)[1]
        if at and sum(self.pieces[at - 1]) == offset:
            before = self.pieces.pop(at - 1)
            offset, nbytes = before[0], before[1] + nbytes
            at -= 1
        self.pieces.insert(at, (offset, nbytes))


class Memory:
    """Offsets of all values that live in the arena; `size` is that of the arena."""

    def __init__(self, program: Program, order: list[list[Node]]) -> None:
        self.program = program
        self.offsets: dict[Value, int] = {}
        self.inner: set[Value] = set()  # read in their own elementwise pass only
        self.free = Free()
        self.last = self._last_reads(order)
        for source in program.inputs:
            if source.kind in COPIED and (source.is_written or source.value in self.last):
                self.offsets[source.value] = self.free.take(source.value.nbytes)
                if source.is_written:
                    self.last[source.value] = len(order)
        for at, nodes in enumerate(order):
            self._place(at, nodes)
        self.size = self.free.size

    def _last_reads(self, order: list[list[Node]]) -> dict[Value, int]:
        root, last = self.program.root, {}
        for at, nodes in enumerate(order):
            for node in nodes:
                for v in node.values():
                    last[root(v)] = at
        for v in self.program.wanted():
            last[root(v)] = len(order)
        for nodes in reversed(order):  # what a call returns may be the memory that it was given
            for old, new in zip(nodes[0].writes, nodes[0].written, strict=True):
                last[root(old)] = max(last[root(old)], last.get(new, 0))
        return last

    def in_arena(self, value: Value) -> bool:
        """Whether a value made by the step needs memory of the arena."""
        return value not in self.program.homes and (
            value.node.kind not in ("input", "update") and not is_dynamic(value.node)
        )

    def _place(self, at: int, nodes: list[Node]) -> None:
        """Memory for the results of one item of the order; what is read last here becomes free.

        Inside an elementwise pass memory is handed on only from place to place exactly, as the
        pass may go through all its members block by block.
        """
        here = {v for n in nodes for v in n.outputs}
        readers = inside_readers(self.program, nodes)
        spare: dict[int, list[int]] = {}
        freed: set[Value] = set()
        for k, node in enumerate(nodes):
            for value in node.outputs:
                if self.in_arena(value):
                    self._empties(node)
                    self.offsets[value] = self._offset(value, node, at, k, readers, spare, freed)
            for v in {self.program.root(v) for v in node.values()} & here:
                unread = readers[v] == k and self.last[v] == at and v not in freed
                if unread and v in self.offsets:
                    spare.setdefault(v.nbytes, []).append(self.offsets[v])
                    freed.add(v)
        self.inner |= {v for v in here if self.last.get(v, -1) <= at and len(nodes) > 1}
        ended = [v for v in {*here, *readers} if self.last.get(v, -1) <= at and v in self.offsets]
        given = {self.offsets[v]: v.nbytes for v in ended}  # one piece may have served several
        kept = {self.offsets[v] for v in here if self.last.get(v, -1) > at and v in self.offsets}
        for offset, nbytes in given.items():
            if offset not in kept:
                self.free.give(offset, nbytes)

    def _offset(
        self,
        value: Value,
        node: Node,
        at: int,
        k: int,
        readers: dict[Value, int],
        spare: dict[int, list[int]],
        freed: set[Value],
    ) -> int:
        """In the place of an operand that is read here for the last time, or elsewhere."""
        for v in candidates(node):
            if v not in self.offsets or v in freed or self.last[v] != at or readers[v] != k:
                continue
            if (v.nbytes, v.strides, v.shape) == (value.nbytes, value.strides, value.shape):
                freed.add(v)
                return self.offsets[v]
        if spare.get(value.nbytes):
            return spare[value.nbytes].pop()
        return self.free.take(value.nbytes)

    def _empties(self, node: Node) -> None:
        """Memory without values that somebody reads all the same."""
        for v in node.values():
            v = self.program.root(v)
            if v.node.kind == "empty" and v not in self.offsets:
                self.offsets[v] = self.free.take(v.nbytes)


def candidates(node: Node) -> list[Value]:
    """The operands whose memory the result may take."""
    if node.kind == "put":
        return [node.args[0]]
    if not is_elementwise(node):
        return []
    return [v for v in node.args if isinstance(v, Value)]


def inside_readers(program: Program, nodes: list[Node]) -> dict[Value, int]:
    """For each value read here, which of the nodes is the last to read it."""
    return {program.root(v): k for k, node in enumerate(nodes) for v in node.values()}


def rounded(nbytes: int) -> int:
    """Up to the alignment; every value has an address of its own."""
    return max(-(-nbytes // ALIGNMENT), 1) * ALIGNMENT


def is_dynamic(node: Node) -> bool:
    """Whether the results are new arrays each time: calls of what has no place to write to."""
    return node.kind == "call" and not (node.function in WRITES_TO and len(node.outputs) == 1)
