"""Which parts of a step do not need each other."""

from __future__ import annotations

from collections import Counter

from tinygrad_mmb.capture.graph import Node
from tinygrad_mmb.capture.plan import Given, Plan
from tinygrad_mmb.capture.replay import flat


def independent(plan: Plan) -> list[list[Node]]:
    """For each result, in order, the nodes that lead to it and to no other: the heads of a network
    with several. What they share, as a trunk, is in none of them.
    """
    ends = [x.leaf.value.node for x in flat(plan.result) if isinstance(x, Given)]
    leading = [ancestors(end) for end in ends]
    shared = Counter(i for ids in leading for i in ids)
    return [
        [n for n in plan.recorded if id(n) in ids and shared[id(n)] == 1 and n.kind != "input"]
        for ids in leading
    ]


def ancestors(end: Node) -> set[int]:
    """The node and all that it depends on, by id."""
    found, todo = {id(end)}, [end]
    while todo:
        for value in todo.pop().values():
            if id(value.node) not in found:
                found.add(id(value.node))
                todo.append(value.node)
    return found
