"""The recorded graph of a Tensor, to look at: as nodes and edges, DOT or Mermaid text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tinygrad_mmb.autograd.engine import AccumulateGrad, Node
from tinygrad_mmb.autograd.tensor import Tensor


class GraphNode(NamedTuple):
    """One recorded operation, one leaf, or the result itself."""

    id: str
    kind: str  #        "operation", "leaf" or "output"
    label: str  #       Mul, weight, y
    shape: tuple[int, ...]
    inputs: tuple[str, ...]  # the ids its values came from, in order


def graph(
    root: Tensor, names: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]] = ()
) -> list[GraphNode]:
    """The operations and leaves that `root` was computed from, inputs before what was made of them.

    `names` gives leaves their names, as `dict(model.named_parameters())`. Constants are not in the
    graph: nothing is recorded of them.
    """
    pairs = names.items() if isinstance(names, Mapping) else names
    known = {id(t): name for name, t in pairs}
    if root.grad_fn is None and not root.requires_grad:
        return [GraphNode("n0", "output", known.get(id(root), "output"), root.shape, ())]
    start = root.edge[0]
    nodes: dict[Node, None] = {start: None}
    stack: list[Node] = [start]
    while stack:
        for edge in stack.pop().next_functions:
            if edge is not None and edge[0] not in nodes:
                nodes[edge[0]] = None
                stack.append(edge[0])
    ordered = sorted(nodes, key=lambda node: node.time)
    ids = {node: f"n{i}" for i, node in enumerate(ordered)}
    made = [_described(node, ids, known) for node in ordered]
    label = known.get(id(root), "output")
    return [*made, GraphNode(f"n{len(made)}", "output", label, root.shape, (ids[start],))]


def _described(node: Any, ids: dict[Node, str], known: dict[int, str]) -> GraphNode:
    if isinstance(node, AccumulateGrad):
        leaf = node.leaf()
        label = known.get(id(leaf), "leaf") if leaf is not None else "leaf"
        return GraphNode(ids[node], "leaf", label, node.outputs[0][0], ())
    inputs = tuple([ids[e[0]] for e in node.next_functions if e is not None])
    return GraphNode(ids[node], "operation", node.function.__name__, node.outputs[0][0], inputs)


def to_dot(root: Tensor, names: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]] = ()) -> str:
    """The graph in the DOT language of Graphviz: leaves are boxes, operations ellipses."""
    lines = ["digraph {", "  rankdir=TB; node [fontname=Helvetica];"]
    shapes = {"leaf": "box", "operation": "ellipse", "output": "doubleoctagon"}
    nodes = graph(root, names)
    for node in nodes:
        text = f"{node.label}\\n{_size(node.shape)}".replace('"', '\\"')
        lines.append(f'  {node.id} [label="{text}", shape={shapes[node.kind]}];')
    lines += [f"  {source} -> {node.id};" for node in nodes for source in node.inputs]
    return "\n".join([*lines, "}"])


def to_mermaid(
    root: Tensor, names: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]] = ()
) -> str:
    """The graph as Mermaid text, which Markdown viewers draw."""
    brackets = {"leaf": ("[", "]"), "operation": ("([", "])"), "output": ("[[", "]]")}
    lines = ["graph TD"]
    nodes = graph(root, names)
    for node in nodes:
        left, right = brackets[node.kind]
        text = f"{node.label}<br/>{_size(node.shape)}".replace('"', "#quot;")
        lines.append(f'  {node.id}{left}"{text}"{right}')
    lines += [f"  {source} --> {node.id}" for node in nodes for source in node.inputs]
    return "\n".join(lines)


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) if shape else "number"
