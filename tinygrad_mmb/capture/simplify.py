"""The recorded step made shorter: copies that nobody needs, the same twice, results nobody reads.

No number changes by it, not in the last bit. What binds the order is memory that the step found and
writes into (parameters, states): its values are `bound`, they exist only until the next write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_mmb.capture.alike import exactly
from tinygrad_mmb.capture.compare import Input
from tinygrad_mmb.capture.graph import Node, Region, Value, mapped
from tinygrad_mmb.capture.trace import Leaf, Trace
from tinygrad_mmb.kernels.cpu import cross_entropy


class Program:
    """Nodes in order, the memory they start from, and what they must leave behind."""

    def __init__(
        self, trace: Trace, inputs: list[Input], place: Callable[[list[Node]], None] | None = None
    ) -> None:
        """`place` marks the calls whose results get places in the arena."""
        self.inputs = inputs
        self.nodes = [n for n in trace.nodes if n.kind != "input"]
        if place is not None:
            place(self.nodes)
        self.alias: dict[Value, Value] = {}
        self.homes: dict[Value, Input] = {}  # values that live in the memory of a written input
        self.decisions = [(v, answer) for v, answer in trace.tracer.decisions]
        self.recorded = trace.nodes
        self.spoilt = {v for n in self.nodes for v in n.writes}  # may be overwritten by a call
        self._find_homes(trace)
        self._fold()
        self.result = mapped(trace.result, self._leaf)
        self.grads = [(t, None if v is None else self.found(v)) for t, v in trace.grads]
        self._own_gradients()
        self.drop_dead()
        self._write_in_place()
        self.find_roots()

    def find_roots(self) -> None:
        """What memory each node reads."""
        self.roots = {n: [self.root(v) for v in n.values()] for n in self.nodes}

    def found(self, x: Any) -> Any:
        """What stands for a value now."""
        while x in self.alias if isinstance(x, Value) else False:
            x = self.alias[x]
        return x

    def _leaf(self, x: Any) -> Any:
        return Leaf(self.found(x.value), x.kind, None, x.tensor) if isinstance(x, Leaf) else x

    def root(self, value: Value) -> Value:
        """The whole memory that a value looks at."""
        while value.node.kind == "view":
            value = value.node.args[0]
            value = self.alias.get(value, value)  # once is enough: nodes are folded in their order
        return value

    def region(self, value: Value) -> tuple[Value, Region | None]:
        """The whole memory, and which part of it."""
        offset, shape, strides = 0, value.shape, value.strides
        if value.node.kind != "view":
            return value, None
        dtype = value.dtype
        while value.node.kind == "view":
            assert value.node.region is not None
            offset += value.node.region.offset
            value = self.found(value.node.args[0])
        return value, Region(offset, shape, strides, dtype)

    # -- steps

    def _find_homes(self, trace: Trace) -> None:
        written = {x.value: x for x in self.inputs if x.is_written and x.kind != "constant"}
        self.homes = dict(written)
        storages = {s.first: s for s in trace.tracer.inputs}
        for first, source in written.items():
            for version in storages[first].versions:
                self.homes[version] = source

    def _fold(self) -> None:
        """Aliases for copies and for what was computed before."""
        known: dict[Any, Value] = {}
        kept = []
        for node in self.nodes:
            if any(v in self.alias for v in node.values()):
                node.args = mapped(node.args, self.found)
                node.options = mapped(node.options, self.found)
                node.reads = None
            if len(node.outputs) == 1 and node.kind in ("copy", "view", "ufunc", "put"):
                value = node.outputs[0]
                same = self._copied(node, value)
                if same is None and value not in self.homes and value not in self.spoilt:
                    key = key_of(node, value)
                    same = known.setdefault(key, value) if key is not None else value
                if same is not None and same is not value:
                    self.alias[value] = same
                    continue
            elif (written := self._written_ahead(node)) is not None:
                self.alias[node.outputs[0]] = written
                continue
            kept.append(node)
        self.nodes = kept

    def _written_ahead(self, node: Node) -> Value | None:
        """The gradient that cross-entropy has written with its loss, if it starts from 1."""
        if node.function is not cross_entropy.batch_cross_entropy_backward:
            return None
        g, dx, result = node.args[0], node.args[-1], node.outputs[0]
        if g.node.kind != "copy" or g.node.args != (1,) or not self.lasts(g):
            return None
        if not any(dx in n.writes for n in self.nodes if n is not node):
            self.spoilt.discard(dx)  # this call gives it as it is
        lies_alike = (dx.shape, dx.strides) == (result.shape, result.strides)
        return dx if lies_alike and self.lasts(dx) else None

    def _copied(self, node: Node, value: Value) -> Value | None:
        """The value that a copy repeats, if it may stand for it."""
        if node.kind != "copy" or value in self.homes or not isinstance(node.args[0], Value):
            return None
        source = node.args[0]
        lies_alike = (source.shape, source.strides) == (value.shape, value.strides)
        if not lies_alike or source.dtype != value.dtype or not self.lasts(source):
            return None
        return source

    def lasts(self, value: Value) -> bool:
        """Whether a value stays what it is as long as somebody wants it."""
        root = self.root(value)
        return root not in self.homes and root not in self.spoilt

    def _own_gradients(self) -> None:
        """Every .grad has memory of its own, which nobody else reads after the step."""
        taken = {self.root(leaf.value) for leaf in leaves(self.result)}
        for k, (t, value) in enumerate(self.grads):
            if value is None or value in self.homes:
                continue
            root = self.root(value)
            alone = value.size == root.size and value.strides == dense(value)
            moves = root.node.kind == "call" and not root.node.placed
            if not alone or root in taken or moves or root.node.kind == "input":
                node = Node("copy", "copy", (value,), line=value.node.line)
                own = Value(node, 0, value.shape, value.dtype, dense(value))
                own.id = len(self.recorded) + k
                node.outputs.append(own)
                self.nodes.append(node)
                self.grads[k] = (t, own)
            taken.add(root)

    def wanted(self) -> list[Value]:
        """What must be there at the end."""
        final = [self.found(x.final) for x in self.inputs if x.is_written and x.kind != "constant"]
        given = [leaf.value for leaf in leaves(self.result)]
        return [*final, *given, *[v for _, v in self.grads if v is not None]]

    def drop_dead(self) -> None:
        """Leave out what nobody reads."""
        live = {v.node for v in self.wanted()}
        kept = []
        for node in reversed(self.nodes):
            if node in live or node.kind == "update":
                kept.append(node)
                live.update([v.node for v in node.values()])
                live.update([v.node for v in node.writes])
        self.nodes = kept[::-1]

    def _write_in_place(self) -> None:
        """m[...] = β m + (1 - β) g: the sum is written into m, not copied there."""
        users = users_of(self.nodes)
        position = {n: k for k, n in enumerate(self.nodes)}
        wanted = set(self.wanted())
        previous = previous_versions(self)
        gone = set()
        for at, node in enumerate(self.nodes):
            target = node.outputs[0] if node.outputs else None
            if node.kind != "copy" or target not in self.homes:
                continue
            source = node.args[0]
            if not isinstance(source, Value) or not is_elementwise(source.node):
                continue
            same = (source.shape, source.dtype, source.strides) == (
                target.shape, target.dtype, target.strides)  # fmt: skip
            if not same or source in self.homes or source in wanted or len(users[source]) != 1:
                continue
            first = position[source.node]
            if any(first < position[u] < at for v in previous[target] for u in users[v]):
                continue  # somebody still reads what m held
            source.node.outputs[0] = target
            target.node = source.node
            gone.add(node)
        self.nodes = [n for n in self.nodes if n not in gone]


def is_elementwise(node: Node) -> bool:
    """Whether every number of the result needs only the numbers at the same place."""
    if node.kind == "copy":
        return True
    return node.kind == "ufunc" and "." not in node.name and node.name not in ("matmul", "vecdot")


def leaves(tree: Any) -> list[Leaf]:
    """The Leafs of a result."""
    found: list[Leaf] = []
    mapped(tree, lambda x: found.append(x) if isinstance(x, Leaf) else None)
    return found


def users_of(nodes: list[Node]) -> dict[Value, list[Node]]:
    """For each value, the nodes that read it, itself or through views."""
    users: dict[Value, list[Node]] = {v: [] for n in nodes for v in n.outputs}
    for node in nodes:
        for value in (*node.values(), *node.writes) if node.writes else node.values():
            users.setdefault(value, []).append(node)
    for node in reversed(nodes):
        if node.kind == "view":
            users.setdefault(node.args[0], []).extend(users[node.outputs[0]])
    return users


def previous_versions(program: Program) -> dict[Value, list[Value]]:
    """For each value of a written input, the values that this memory held before."""
    before: dict[Value, list[Value]] = {}
    seen: dict[int, list[Value]] = {}
    for value, source in program.homes.items():
        earlier = seen.setdefault(id(source), [])
        before[value] = list(earlier)
        earlier.append(value)
    return before


def dense(value: Value) -> tuple[int, ...]:
    """Strides in rows."""
    strides, step = [], value.dtype.itemsize
    for n in reversed(value.shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def key_of(node: Node, value: Value) -> Any:
    """What two nodes have in common if they compute the same."""
    try:
        key = (node.kind, node.name, described(node.args), described(node.options), node.region,
               value.shape, value.dtype, value.strides)  # fmt: skip
        hash(key)
    except TypeError:
        return None
    return key


def described(tree: Any) -> Any:
    """Arguments as something to look up."""
    kind = type(tree)
    if kind is Value:
        return tree
    if issubclass(kind, (tuple, list)):
        return (kind, *[described(x) for x in tree])
    if issubclass(kind, dict):
        return tuple([(k, described(v)) for k, v in tree.items()])
    return exactly(tree)
