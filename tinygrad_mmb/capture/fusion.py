"""Rewrites for a replay in C++: a product takes over what is done to its result right after it.

    matmul, add a bias, maximum with 0      of a layer and the ReLU behind it
    matmul, add                             of a residual block, there and back
    matmul, times the mask y > 0            of the way back through a ReLU: y itself is the gate

What was a mask is looked up in y, so nobody computes it. The NumPy replay of the new nodes gives
the bits of the old ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tinygrad_mmb.capture.alike import exactly
from tinygrad_mmb.capture.graph import Node, Value
from tinygrad_mmb.capture.product import product
from tinygrad_mmb.capture.simplify import Program, dense, users_of

STAGES = ("bias", "relu", "add", "gate")  # the order in which a product does them


def fuse(program: Program) -> None:
    """Rewrite the products of a program."""
    users = users_of(program.nodes)
    wanted = {program.root(v) for v in program.wanted()}
    position = {n: k for k, n in enumerate(program.nodes)}
    taken: dict[Node, Node | None] = {}  # what stands in the place of a node
    for at, node in enumerate(program.nodes):
        if not is_product(program, node):
            continue
        chain = Chain(program, node)
        while chain.take(users, wanted, taken):
            pass
        if chain.nodes and not chain.overwritten(at, position[chain.nodes[-1]]):
            taken |= dict.fromkeys((node, *chain.nodes[:-1]))
            taken[chain.nodes[-1]] = chain.fused()
    program.nodes = [new for n in program.nodes if (new := taken.get(n, n)) is not None]
    program.drop_dead()
    program.find_roots()


def is_product(program: Program, node: Node) -> bool:
    """Whether a node is the product of two matrices of floats, into memory of its own."""
    if node.name != "matmul" or node.kind != "ufunc" or node.options:
        return False
    a, b = node.args
    c = node.outputs[0]
    if not all(isinstance(x, Value) and len(x.shape) == 2 for x in (a, b)) or c in program.homes:
        return False
    return c.dtype.char in "fd" and a.dtype == b.dtype == c.dtype and c.strides == dense(c)


def is_zero(x: Any) -> bool:
    """Whether x is the number 0, not -0."""
    return exactly(x) in (exactly(0), exactly(0.0))


@dataclass
class Chain:
    """A product, and what can be done on its way out."""

    program: Program
    node: Node
    nodes: list[Node] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def result(self) -> Value:
        """What has been computed so far."""
        return (self.nodes or [self.node])[-1].outputs[0]

    def take(
        self, users: dict[Value, list[Node]], wanted: set[Value], taken: dict[Node, Node | None]
    ) -> bool:
        """Take over the only reader of the result, if a product can do what it does. The sum of two
        products belongs to the first of them.
        """
        readers = {id(u): u for u in users.get(self.result, ()) if u.kind != "view"}
        if len(readers) != 1 or self.result in wanted:
            return False
        one = next(iter(readers.values()))
        if one.kind != "ufunc" or one.options or one.outputs[0] in self.program.homes:
            return False
        if one in taken:
            return False
        y = one.outputs[0]
        mine = [isinstance(x, Value) and self.is_result(x, y) for x in one.args]
        if y.strides != dense(y) or y.size != self.result.size or mine.count(True) != 1:
            return False
        if one.args[mine.index(True)].dtype != y.dtype:
            return False
        other = one.args[mine.index(False)] if len(mine) == 2 else None
        found = self.part(one.name, y, other, first=bool(mine[-1]))
        stage = max((STAGES.index(k) for k in self.options if k in STAGES), default=-1)
        if not found or STAGES.index(next(iter(found))) <= stage:
            return False
        self.options |= found
        self.nodes.append(one)
        return True

    def is_result(self, x: Value, y: Value) -> bool:
        """Whether x is all of the result, element by element where y has its own."""
        whole = self.program.root(x) is self.result and x.size == self.result.size
        return whole and x.shape == y.shape and x.strides == dense(x)

    def part(self, name: str, y: Value, other: Any, first: bool) -> dict[str, Any]:
        """What an operation of the result and `other` is as a part of a product."""
        columns = self.node.outputs[0].shape[1]
        dtype = self.node.outputs[0].dtype
        if name == "maximum" and first and is_zero(other) and y.dtype == dtype:
            return {"relu": True}
        if not isinstance(other, Value):
            return {}
        lies_alike = other.shape == y.shape and other.strides == dense(other)
        if name == "add" and other.dtype == y.dtype == dtype:
            if other.shape == (columns,) and y.shape[-1] == columns and not first:
                return {"bias": other} if other.strides == dense(other) else {}
            return {"add": other, "add_first": first} if lies_alike else {}
        if name == "multiply" and y.dtype.kind == "i" and other.dtype.kind == "b" and lies_alike:
            gate = self.above_zero(other)
            return {} if gate is None else {"gate": gate}
        return {}

    def above_zero(self, mask: Value) -> Value | None:
        """y of the mask ~(y <= 0), if y is a matrix of floats that lasts."""
        if mask.node.name not in ("invert", "logical_not") or mask.node.options:
            return None
        inner = mask.node.args[0]
        if not isinstance(inner, Value) or inner.node.name != "less_equal" or inner.node.options:
            return None
        y, zero = inner.node.args
        if not isinstance(y, Value) or type(zero) not in (int, float) or zero != 0:  # or -0
            return None
        fits = y.dtype == self.node.outputs[0].dtype and y.strides == dense(y)
        return y if fits and y.shape == mask.shape and self.program.lasts(y) else None

    def overwritten(self, first: int, last: int) -> bool:
        """Whether an operand is written into before the place where all of it is done."""
        program = self.program
        read = {program.root(v) for n in (self.node, *self.nodes) for v in n.values()}
        homes = {id(program.homes[v]) for v in read if v in program.homes}
        for node in program.nodes[first + 1 : last]:
            if read & {program.root(v) for v in node.writes}:
                return True
            if any(id(program.homes[v]) in homes for v in node.outputs if v in program.homes):
                return True
        return False

    def fused(self) -> Node:
        """One node for all of it, where the last one stood."""
        last = self.nodes[-1]
        node = Node("call", "product", self.node.args, self.options, product, line=last.line)
        node.outputs = last.outputs
        for value in node.outputs:
            value.node = node
        return node
