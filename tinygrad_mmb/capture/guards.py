"""When a plan holds: what must be as it was when the step was traced.

Cheap questions, asked before every replay. The first that is answered otherwise makes the captured
step look for another plan, or trace anew; nothing is ever computed with a plan that does not hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.capture.graph import Node, Value, mapped
from tinygrad_mmb.capture.plan import Operand, Plan
from tinygrad_mmb.capture.replay import at
from tinygrad_mmb.capture.storage import Spans
from tinygrad_mmb.capture.surroundings import Surroundings
from tinygrad_mmb.capture.trace import Trace


class Guards(Surroundings):
    """All the questions of one plan."""

    def __init__(
        self, step: Any, args: Any, a: Trace, b: Trace, plan: Plan, before: list[Any]
    ) -> None:
        tensors = [x for i, x in b.witness.tensors.items() if i in a.witness.tensors]
        grads = grads_of_before(a, b, plan)
        arguments = [s.root for s in b.arguments]
        super().__init__(step, args, before, b.witness, tensors, grads, arguments)
        held = {id(x.array) for x in plan.buffers if x.kind == "external"}
        self.pinned = [
            (k, s.root) for k, s in enumerate(b.arguments) if id(s.root) in held
        ]  # arguments that are also parameters, say
        self.held = Spans(x.array for x in plan.buffers if x.kind == "external")
        self.written = [k for k, _ in plan.copied_back]
        self.decisions = Decisions(b, plan)

    def hold(self, args: Any, arrays: list[Any]) -> bool:
        """Whether a replay computes what the step would."""
        return (
            super().hold(args, arrays)
            and self._arguments_hold(arrays)
            and self.decisions.hold(arrays)
        )

    def _arguments_hold(self, arrays: list[Any]) -> bool:
        """Arguments share memory with nothing that the step holds but those that are it; if one is
        written, they do not overlap.
        """
        pinned = {k for k, _ in self.pinned}
        return (
            all(arrays[k] is x for k, x in self.pinned)
            and not any(self.held.meets(x) for k, x in enumerate(arrays) if k not in pinned)
            and not any(
                arrays[k] is not x and np.may_share_memory(arrays[k], x)
                for k in self.written
                for x in arrays
            )
        )


def grads_of_before(a: Trace, b: Trace, plan: Plan) -> list[tuple[Tensor, bool]]:
    """Leaves of which it matters whether they have a gradient when the step begins."""
    needed = {id(c.tensor) for c in plan.inputs if c.kind == "gradient"}
    found = []
    for i, (t, grad) in b.witness.grads.items():
        if i not in a.witness.grads:
            continue
        before = a.witness.grads[i][1]
        if id(t) in needed or (before is None) is (grad is None):
            found.append((t, grad is not None))
    return found


class Decisions:
    """Branches on integers that the step was given: the answers are worked out again."""

    def __init__(self, b: Trace, plan: Plan) -> None:
        self.answers = plan.decisions
        self.nodes = cone([v.node for v, _ in plan.decisions], plan.recorded)
        given = {id(s.first): k for k, s in enumerate(b.arguments)}
        held = {id(s.first): s.root for s in b.tracer.inputs}
        self.inputs = [
            (n.outputs[0], given.get(id(n.outputs[0]), -1), held.get(id(n.outputs[0])))
            for n in self.nodes
            if n.kind == "input"
        ]
        self.work = [n for n in self.nodes if n.kind != "input"]

    def hold(self, arrays: list[Any]) -> bool:
        """Whether every branch is taken as before."""
        if not self.answers:
            return True
        values: dict[Value, Any] = {v: held if k < 0 else arrays[k] for v, k, held in self.inputs}
        for node in self.work:
            evaluate(node, values)
        return all(
            (bool(values[v]) if type(answer) is bool else values[v].item()) == answer
            for v, answer in self.answers
        )


def evaluate(node: Node, values: dict[Value, Any]) -> None:
    """One node on plain arrays."""

    def known(x: Any) -> Any:
        return values[x] if isinstance(x, Value) else x

    args, options = mapped(node.args, known), mapped(node.options, known)
    out = node.outputs[0]
    if node.kind == "copy":
        values[out] = np.broadcast_to(np.asarray(args[0]), out.shape).astype(out.dtype)
    elif node.kind == "view":
        region: Any = node.region
        values[out] = at(args[0], Operand(0, *region))
    else:
        function: Any = node.function
        values[out] = function(*args, **options)


def cone(ends: list[Node], nodes: list[Node]) -> list[Node]:
    """All nodes that some others depend on, in order."""
    wanted = set(map(id, ends))
    found = []
    for node in reversed(nodes):
        if id(node) in wanted:
            found.append(node)
            wanted.update([id(v.node) for v in node.values()])
    return found[::-1]
