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
        self.position = {n: k for k, n in enumerate(nodes)}
        self.users = users_of(program.nodes)
        self.previous = previous_versions(program)
        self.wanted = {program.root(v) for v in program.wanted()}
        self.joining: set[Node] = set()  # what may be part of an elementwise pass
        self.members: dict[int, list[Node]] = {}  # by the position of the first
        self.group: dict[Node, int] = {}  # of a node: the first position of its group

    def add(self, node: Node) -> None:
        """Put a node into the groups that made its operands, if that is allowed, or alone."""
        at = self.position[node]
        mine, first = [node], at
        if can_join(node):
            self.joining.add(node)
            shape = node.outputs[0].shape
            makers = {v.node for v in node.values()}
            near = sorted({self.group[m] for m in makers if self.is_near(m, shape)})
            for chosen in [near, *[[g] for g in near]] if len(near) > 1 else [near]:
                if chosen and self.allowed(chosen, node):
                    mine = [m for g in chosen for m in self.members.pop(g)] + [node]
                    if len(chosen) > 1:
                        mine.sort(key=self.position.__getitem__)
                    first = chosen[0]
                    break
        self.members[first] = mine
        for m in mine if first != at else (node,):
            self.group[m] = first

    def is_near(self, maker: Node, shape: tuple[int, ...]) -> bool:
        """Whether the node that made an operand could be in the same pass."""
        return maker in self.joining and maker.outputs[0].shape == shape

    def allowed(self, chosen: list[int], node: Node) -> bool:
        """Whether these groups and a node may all run where the first group stands: for that group
        itself it is known.
        """
        first = chosen[0]
        inside = {m for g in chosen for m in self.members[g]} | {node}
        for m in (*[m for g in chosen[1:] for m in self.members[g]], node):
            for v in self.program.roots[m]:
                maker = v.node
                if self.position.get(maker, -1) >= first and maker not in inside:
                    return False
            for v in self.previous.get(m.outputs[0], ()):
                if any(self.late(u, first, m, inside) for u in [v.node, *self.users.get(v, ())]):
                    return False
        return True

    def late(self, other: Node, first: int, writer: Node, inside: set[Node]) -> bool:
        """Whether `other` stands between the place of the group and that of its `writer`."""
        at = self.position.get(other, -1)
        return first < at < self.position[writer] and other not in inside

    def put_off(self, first: int) -> None:
        """Let members of a group go to the later group that alone reads what they make, where that
        keeps fewer bytes for a shorter time.
        """
        for node in reversed(self.members[first]):
            readers = self.readers(node)
            if self.group[node] != first or len(readers) != 1 or node not in self.joining:
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
        inside = set(moved)
        self.members[first] = [m for m in self.members[first] if m not in inside]
        together = [*moved, *self.members[target]]
        self.members[target] = sorted(together, key=lambda m: self.position[m])
        self.group.update(dict.fromkeys(inside, target))

    def readers(self, node: Node) -> set[int]:
        """The groups that read what a node makes; none if it must be there at the end."""
        value = node.outputs[0]
        if value in self.wanted or not self.program.lasts(value):
            return set()
        return {self.group[u] for u in self.users[value] if u in self.group}

    def leading_to(self, node: Node, members: list[Node]) -> list[Node]:
        """The node, and those members of its group whose results only they read."""
        found, inside = [node], {node}
        for m in reversed(members):
            users = [u for u in self.users[m.outputs[0]] if u in self.group]
            if users and self.readers(m) and all(u in inside for u in users):
                found.append(m)
                inside.add(m)
        return found

    def kept_longer(self, moved: list[Node], target: int) -> float:
        """Bytes times places for which operands must be there that others no longer read."""
        inside, found = set(moved), 0.0
        for root in {v for m in moved for v in self.program.roots[m]}:
            if root.node in inside or root in self.wanted:
                continue
            if not self.program.lasts(root):
                return float("inf")
            users = [u for u in self.users[root] if u in self.group and u not in inside]
            last = max((self.group[u] for u in users), default=0)
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
