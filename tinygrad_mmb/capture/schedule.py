"""The order of work: as recorded, but what can be one elementwise pass stands together.

The update of a parameter is a dozen lines of array code; as one group it reads p, g, m, v once and
writes them once. A group runs where its first member stood, so everything that it reads from
outside must be there by then, and nobody may still need what it overwrites.

What such a group makes for one later group only, from values that are kept until then anyway, moves
there: the gate of a ReLU is made of the activation when the gradient comes, and not kept beside it.
"""

from __future__ import annotations

from tinygrad_mmb.capture.graph import Node, Value
from tinygrad_mmb.capture.simplify import (
    Program,
    dense,
    is_elementwise,
    previous_versions,
    users_of,
)

NO_WORK = ("view", "empty")


def scheduled(program: Program) -> list[list[Node]]:
    """All nodes that do work, in order; a list of several is one elementwise pass."""
    nodes = [n for n in program.nodes if n.kind not in NO_WORK]
    groups = Groups(program, nodes)
    for node in nodes:
        groups.add(node)
    for first in sorted(groups.members, reverse=True):
        groups.put_off(first)
    return groups.in_order()


class Groups:
    """Elementwise groups that grow node by node."""

    def __init__(self, program: Program, nodes: list[Node]) -> None:
        self.program = program
        self.position = {id(n): k for k, n in enumerate(nodes)}
        self.users = users_of(program.nodes)
        self.previous = previous_versions(program)
        self.wanted = {program.root(v) for v in program.wanted()}
        self.members: dict[int, list[Node]] = {}  # by the position of the first
        self.group: dict[int, int] = {}  # of a node: the first position of its group

    def add(self, node: Node) -> None:
        """Put a node into the groups that made its operands, if that is allowed, or alone."""
        mine = [node]
        if can_join(node):
            shape = node.outputs[0].shape
            makers = {id(v.node): v.node for v in node.values()}
            near = sorted({self.group[i] for i, m in makers.items() if self.is_near(m, shape)})
            for chosen in [near, *[[g] for g in near]] if len(near) > 1 else [near]:
                together = [m for g in chosen for m in self.members[g]] + [node]
                if chosen and self.allowed(together):
                    mine = sorted(together, key=lambda m: self.position[id(m)])
                    for g in chosen:
                        del self.members[g]
                    break
        first = self.position[id(mine[0])]
        self.members[first] = mine
        for m in mine:
            self.group[id(m)] = first

    def is_near(self, maker: Node, shape: tuple[int, ...]) -> bool:
        """Whether the node that made an operand could be in the same pass."""
        return id(maker) in self.group and can_join(maker) and maker.outputs[0].shape == shape

    def allowed(self, members: list[Node]) -> bool:
        """Whether all of them may run where the first one stands."""
        inside = {id(m) for m in members}
        first = min(self.position[i] for i in inside)
        for m in members:
            for v in m.values():
                maker = self.program.root(v).node
                if id(maker) not in inside and self.position.get(id(maker), -1) >= first:
                    return False
            for v in self.previous.get(m.outputs[0], ()):
                if any(self.late(u, first, m, inside) for u in [v.node, *self.users.get(v, ())]):
                    return False
        return True

    def late(self, other: Node, first: int, writer: Node, inside: set[int]) -> bool:
        """Whether `other` stands between the place of the group and that of its `writer`."""
        at = self.position.get(id(other), -1)
        return id(other) not in inside and first < at < self.position[id(writer)]

    def put_off(self, first: int) -> None:
        """Let members of a group go to the later group that alone reads what they make, where that
        keeps fewer bytes for a shorter time.
        """
        for node in reversed(self.members[first]):
            readers = self.readers(node)
            if self.group[id(node)] != first or len(readers) != 1 or not can_join(node):
                continue
            (target,) = readers
            value = node.outputs[0]
            if target == first or not self.is_near(self.members[target][0], value.shape):
                continue
            moved = self.leading_to(node, self.members[first])
            if self.kept_longer(moved, target) <= value.nbytes * (target - first):
                self.move(moved, first, target)
        if not self.members[first]:
            del self.members[first]

    def move(self, moved: list[Node], first: int, target: int) -> None:
        """From one group to a later one."""
        inside = {id(m) for m in moved}
        self.members[first] = [m for m in self.members[first] if id(m) not in inside]
        together = [*moved, *self.members[target]]
        self.members[target] = sorted(together, key=lambda m: self.position[id(m)])
        self.group.update(dict.fromkeys(inside, target))

    def readers(self, node: Node) -> set[int]:
        """The groups that read what a node makes; none if it must be there at the end."""
        value = node.outputs[0]
        if value in self.wanted or not self.program.lasts(value):
            return set()
        return {self.group[id(u)] for u in self.users[value] if id(u) in self.group}

    def leading_to(self, node: Node, members: list[Node]) -> list[Node]:
        """The node, and those members of its group whose results only they read."""
        found, inside = [node], {id(node)}
        for m in reversed(members):
            users = [u for u in self.users[m.outputs[0]] if id(u) in self.group]
            if users and self.readers(m) and all(id(u) in inside for u in users):
                found.append(m)
                inside.add(id(m))
        return found

    def kept_longer(self, moved: list[Node], target: int) -> float:
        """Bytes times places for which operands must be there that others no longer read."""
        inside, found = {id(m) for m in moved}, 0.0
        for root in {self.program.root(v) for m in moved for v in m.values()}:
            if id(root.node) in inside or root in self.wanted:
                continue
            if not self.program.lasts(root):
                return float("inf")
            users = [u for u in self.users[root] if id(u) in self.group and id(u) not in inside]
            last = max((self.group[id(u)] for u in users), default=0)
            found += root.nbytes * max(target - last, 0)
        return found

    def in_order(self) -> list[list[Node]]:
        """All groups, by their first members."""
        return [self.members[first] for first in sorted(self.members)]


def can_join(node: Node) -> bool:
    """Whether a node may be part of an elementwise pass: its result lies in rows."""
    if not is_elementwise(node) or "where" in node.options:
        return False
    value: Value = node.outputs[0]
    return value.strides == dense(value)
