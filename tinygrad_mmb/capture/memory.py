"""Where each value lies: one arena, in which memory is used again as soon as nobody reads it.

Values of inputs that live outside (parameters, states) stay there; results of calls of Python are
new arrays at each replay. Everything else has an offset. Gradients are the last to be written, so
they often take the places of activations.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass

import numpy as np

from tinygrad_mmb.capture.graph import Node, Value
from tinygrad_mmb.capture.product import AT_ONCE, product
from tinygrad_mmb.capture.simplify import Program, is_elementwise

WRITES_TO = {np.dot, np.stack, np.concatenate, product}  # functions that take out=
ALIGNMENT = 64  # a cache line, and the widest vector
HOLES, MANY = 1.1, 500  # the arena over what lives at most; pieces for which it is worth a search
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


@dataclass(eq=False)
class Piece:
    """Memory of the arena that one value needs, or several that take each other's place.

    From item `start` of the order to item `end`.
    """

    nbytes: int
    start: int
    end: int = -1
    offset: int = 0


def lay_out(pieces: list[Piece]) -> int:
    """Give every piece an offset; how large the arena is.

    In the order of time, each the smallest free piece; where that leaves holes, the large ones
    first, each as low as it can.
    """
    steps = sorted([(p.start, 0, k) for k, p in enumerate(pieces)]
                   + [(p.end, 1, k) for k, p in enumerate(pieces)])  # fmt: skip
    free, needed, most = Free(), 0, 0
    for _, ends, k in steps:
        p = pieces[k]
        if ends:
            free.give(p.offset, p.nbytes)
        else:
            p.offset = free.take(p.nbytes)
        needed += -rounded(p.nbytes) if ends else rounded(p.nbytes)
        most = max(most, needed)
    if free.size <= HOLES * most or len(pieces) > MANY:
        return free.size
    found = largest_first(pieces)
    size = max((low + rounded(p.nbytes) for low, p in zip(found, pieces, strict=True)), default=0)
    if size < free.size:
        for low, p in zip(found, pieces, strict=True):
            p.offset = low
    return min(size, free.size)


def largest_first(pieces: list[Piece]) -> list[int]:
    """The lowest offset for each piece at which no larger one lies that lives at the same time."""
    found = [0] * len(pieces)
    placed: list[int] = []  # in the order of their offsets
    for k in sorted(range(len(pieces)), key=lambda k: -pieces[k].nbytes):
        p, low = pieces[k], 0
        for other in placed:
            q = pieces[other]
            if q.start <= p.end and p.start <= q.end:
                if found[other] >= low + rounded(p.nbytes):
                    break
                low = max(low, found[other] + rounded(q.nbytes))
        found[k] = low
        bisect.insort(placed, k, key=lambda k: found[k])
    return found


class Memory:
    """Offsets of all values that live in the arena; `size` is that of the arena."""

    def __init__(self, program: Program, order: list[list[Node]]) -> None:
        self.program = program
        self.pieces: list[Piece] = []
        self.of: dict[Value, Piece] = {}
        self.inner: set[Value] = set()  # read in their own elementwise pass only
        self.last = self._last_reads(order)
        for source in program.inputs:
            if source.kind in COPIED and (source.is_written or source.value in self.last):
                self.of[source.value] = self._new(source.value, -1)
                if source.is_written:
                    self.last[source.value] = len(order)
        for at, nodes in enumerate(order):
            self._place(at, nodes)
        for p in self.pieces:
            p.end = len(order) if p.end < 0 else p.end
        self.size = lay_out(self.pieces)
        self.offsets = {v: p.offset for v, p in self.of.items()}

    def _new(self, value: Value, at: int) -> Piece:
        """Memory for a value from here on."""
        self.pieces.append(Piece(value.nbytes, at))
        return self.pieces[-1]

    def _last_reads(self, order: list[list[Node]]) -> dict[Value, int]:
        root, last = self.program.root, {}
        for at, nodes in enumerate(order):
            for node in nodes:
                last.update(dict.fromkeys(self.program.roots[node], at))
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
        here = [v for n in nodes for v in n.outputs]
        roots = [self.program.roots[n] for n in nodes]
        readers = {v: k for k, read in enumerate(roots) for v in read}  # the last one in the pass
        ends = [v for v in readers if self.last[v] == at]
        spare: dict[int, list[Piece]] = {}
        freed: set[Value] = set()  # whose memory has been handed on
        for k, node in enumerate(nodes):
            ending = [v for v in roots[k] if self.last[v] == at and readers[v] == k]
            for value in node.outputs:
                if self.in_arena(value):
                    self._empties(roots[k], at)
                    self.of[value] = self._piece(value, node, at, ending, spare, freed)
            for v in ending:
                if v in self.of and v not in freed and v.node in nodes:
                    spare.setdefault(v.nbytes, []).append(self.of[v])
                    freed.add(v)
        unread = [v for v in here if self.last.get(v, -1) <= at]
        if len(nodes) > 1:
            self.inner.update(unread)
        kept = {id(self.of[v]) for v in here if self.last.get(v, -1) > at and v in self.of}
        for v in (*unread, *ends):
            piece = self.of.get(v)
            if piece is not None and id(piece) not in kept:  # it may have served several
                piece.end = at

    def _piece(
        self,
        value: Value,
        node: Node,
        at: int,
        ending: list[Value],
        spare: dict[int, list[Piece]],
        freed: set[Value],
    ) -> Piece:
        """In the place of an operand that is read here for the last time, or elsewhere."""
        for operand in candidates(self.program, node) if ending else ():
            v, region = self.program.region(operand)
            if v not in ending or v not in self.of or v in freed:
                continue
            there = (0 if region is None else region.offset, v.nbytes, operand.shape)
            if (*there, operand.strides) == (0, value.nbytes, value.shape, value.strides):
                freed.add(v)
                return self.of[v]
        if spare.get(value.nbytes):
            return spare[value.nbytes].pop()
        return self._new(value, at)

    def _empties(self, roots: list[Value], at: int) -> None:
        """Memory without values that somebody reads all the same."""
        for v in roots:
            if v.node.kind == "empty" and v not in self.of:
                self.of[v] = self._new(v, at)


def candidates(program: Program, node: Node) -> list[Value]:
    """The operands whose memory the result may take."""
    if node.kind == "put":
        return [node.args[0]]
    if node.function is product:
        return in_place(program, node)
    if not is_elementwise(node):
        return []
    return [v for v in node.args if isinstance(v, Value)]


def in_place(program: Program, node: Node) -> list[Value]:
    """What a product may be written over: neither a factor, nor where sums come in parts."""
    factors = [program.root(x) for x in node.args]
    depth, itemsize = node.args[0].shape[1], node.args[0].dtype.itemsize
    found = [node.options[k] for k in ("gate", "add") if k in node.options]
    return [v for v in found if depth <= AT_ONCE[itemsize] and program.root(v) not in factors]


def rounded(nbytes: int) -> int:
    """Up to the alignment; every value has an address of its own."""
    return max(-(-nbytes // ALIGNMENT), 1) * ALIGNMENT


def is_dynamic(node: Node) -> bool:
    """Whether the results are new arrays each time: calls of what has no place to write to."""
    writes = node.placed or (node.function in WRITES_TO and len(node.outputs) == 1)
    return node.kind == "call" and not writes
