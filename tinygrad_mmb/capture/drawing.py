"""The recorded step as a graph, for Graphviz and for Mermaid."""

from __future__ import annotations

from collections.abc import Iterator

from tinygrad_mmb.capture.graph import Node
from tinygrad_mmb.capture.plan import Plan

SHAPES = {"input": "box", "call": "box3d", "update": "box3d"}


def edges(plan: Plan) -> Iterator[tuple[Node, Node, str]]:
    """(from, to, shape of what flows) for every node that is not dead."""
    shown = set(map(id, alive(plan)))
    for node in plan.recorded:
        if id(node) in shown:
            for value in dict.fromkeys(node.values()):
                yield value.node, node, "x".join(map(str, value.shape)) or "number"


def alive(plan: Plan) -> list[Node]:
    """The recorded nodes that lead to something: not those for checks of arguments alone."""
    used = {id(v.node) for node in plan.recorded for v in node.values()}
    return [n for n in plan.recorded if id(n) in used or n.kind != "input"]


def dot(plan: Plan) -> str:
    """The graph in the language of Graphviz: `dot -Tsvg`."""
    number = {id(n): k for k, n in enumerate(plan.recorded)}
    lines = ["digraph step {", "  rankdir=TB; node [fontname=Helvetica, shape=ellipse];"]
    for node in alive(plan):
        shape = SHAPES.get(node.kind, "ellipse")
        lines.append(f'  n{number[id(node)]} [label="{label(node)}", shape={shape}];')
    for source, target, text in edges(plan):
        lines.append(f'  n{number[id(source)]} -> n{number[id(target)]} [label="{text}"];')
    return "\n".join([*lines, "}", ""])


def mermaid(plan: Plan) -> str:
    """The graph in the language of Mermaid, as GitHub and notebooks show it."""
    number = {id(n): k for k, n in enumerate(plan.recorded)}
    lines = ["flowchart TD"]
    lines += [f'  n{number[id(n)]}["{label(n)}"]' for n in alive(plan)]
    for source, target, text in edges(plan):
        lines.append(f"  n{number[id(source)]} -->|{text}| n{number[id(target)]}")
    return "\n".join([*lines, ""])


def label(node: Node) -> str:
    """What stands in a box: the operation, and the shape of an input."""
    if node.kind == "input":
        return "input " + ("x".join(map(str, node.outputs[0].shape)) or "number")
    return node.name
