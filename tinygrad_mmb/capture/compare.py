"""Two traced steps side by side: is it one program, and what of it changes from step to step?

Only what both say alike can be replayed. Arrays that are the same objects are pointed to; arrays
made anew in each step must hold the same numbers, and are constants; anything else that differs is
refused. Numbers that the host makes anew (kernels/recorder.py) are symbols and differ freely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.capture.alike import agree, exactly
from tinygrad_mmb.capture.errors import said
from tinygrad_mmb.capture.graph import Node, Value
from tinygrad_mmb.capture.scalars import Scalar
from tinygrad_mmb.capture.trace import Leaf, Trace
from tinygrad_mmb.capture.witness import before

HAND_IN = "Hand it to the captured step as an argument"


class DifferentError(Exception):
    """The two steps did different things. `structure`: not even the operations are the same."""

    def __init__(self, text: str, structure: bool) -> None:
        super().__init__(text)
        self.structure = structure


@dataclass
class Input:
    """Memory that the step finds: where a replay takes it from.

    external: `array` itself.   argument: the `index`-th array handed in, copied.   gradient: what
    `tensor`.grad holds when the step begins, copied.   constant: a copy of `array`.
    """

    kind: str
    value: Value  #                       what it holds when the step begins
    final: Value  #                       ... and when it ends
    array: Any
    index: int = -1
    tensor: Tensor | None = None

    @property
    def is_written(self) -> bool:
        """Whether the step writes into it."""
        return self.final is not self.value


def compared(a: Trace, b: Trace) -> list[Input]:
    """Where the inputs of the program that both steps are come from; b is the later one.

    Raises: DifferentError.
    """
    if len(a.nodes) != len(b.nodes):
        first = next((n for m, n in zip(a.nodes, b.nodes, strict=False) if m.name != n.name), None)
        line = f", first at {said(first.line)}" if first is not None else ""
        text = f"{len(a.nodes)} and {len(b.nodes)} operations{line}"
        raise DifferentError(f"two steps in a row did different things: {text}", True)
    for m, n in zip(a.nodes, b.nodes, strict=True):
        compare_nodes(m, n)
    compare_reads(a, b)
    if a.tracer.branches != b.tracer.branches or not alike(a.result, b.result):
        raise DifferentError("two steps in a row returned different things", True)
    if [id(t) for t, _ in a.grads] != [id(t) for t, _ in b.grads] or not alike(
        [v for _, v in a.grads], [v for _, v in b.grads]
    ):
        raise DifferentError("two steps in a row gave gradients to different Tensors", True)
    owners = [grads_of_before(t) for t in (a, b)]
    return [
        source(a, b, k, owners) for k in range(len(a.tracer.inputs))
    ]  # as many as in b: the nodes agree


def compare_nodes(m: Node, n: Node) -> None:
    """Raise where one node of the first step is not the same node of the second."""
    if m.kind != n.kind or m.name != n.name or m.region != n.region:
        raise DifferentError(
            f"{said(n.line)}: two steps in a row did different things: {m.name}, then {n.name}",
            True,
        )
    if len(m.outputs) != len(n.outputs):
        raise DifferentError(
            f"{said(n.line)}: {n.name} returned {len(m.outputs)} arrays, then {len(n.outputs)}",
            True,
        )
    for v, w in zip(m.outputs, n.outputs, strict=True):
        if v.shape != w.shape or v.dtype != w.dtype or v.strides != w.strides:
            raise DifferentError(
                f"{said(n.line)}: the result of {n.name} has shape {v.shape}, then {w.shape}", True
            )
    for old, new in ((m.args, n.args), (m.options, n.options), (m.template, n.template)):
        if old is not new and not alike(old, new):
            pair = first_pair(old, new)
            if pair is not None and Value in map(type, pair):
                raise DifferentError(
                    f"{said(n.line)}: two steps in a row did different things: {n.name} of other "
                    "arrays",
                    True,
                )
            raise DifferentError(changed(n, pair), False)


def changed(node: Node, pair: tuple[Any, Any] | None) -> str:
    """The message about a number that is not a symbol but differs."""
    what = "something" if pair is None else f"{pair[0]!r}, then {pair[1]!r},"
    return (
        f"{said(node.line)}: {what} in {node.name}: a number that Python computes in the step "
        f"changes from call to call, and a replay would keep the old one. {HAND_IN} (as a Tensor), "
        "or make it an option of the optimizer."
    )


def first_pair(a: Any, b: Any) -> tuple[Any, Any] | None:
    """The first two leaves that differ."""
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)) and len(a) == len(b):
        found = (first_pair(x, y) for x, y in zip(a, b, strict=True))
        return next((p for p in found if p is not None), None)
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return first_pair(list(a.values()), list(b.values()))
    return None if alike(a, b) else (a, b)


def alike(a: Any, b: Any) -> bool:
    """Whether two nested arguments say the same."""
    kind = type(a)
    if kind is not type(b):
        return False
    if kind is Value:
        same: bool = a.id == b.id
        return same
    if issubclass(kind, (tuple, list)):
        return len(a) == len(b) and all(map(alike, a, b))
    if a is b:
        return True
    if kind is float:
        return exactly(a) == exactly(b) or (a != a and b != b)
    if kind is Scalar:
        return bool(a.text == b.text)
    if kind is Leaf:
        return a.value.id == b.value.id and a.kind == b.kind and a.tensor is b.tensor
    if issubclass(kind, dict):
        return a.keys() == b.keys() and all(alike(a[k], b[k]) for k in a)
    return agree(a, b)


def compare_reads(a: Trace, b: Trace) -> None:
    """Raise unless the host asked for the same numbers, in the same order."""
    old, new = a.tracer.reads, b.tracer.reads
    same = len(old) == len(new) and all(
        r is s and all(x is y or alike(x, y) for x, y in zip(p, q, strict=True))
        and type(v) is type(w)
        for (r, p, v), (s, q, w) in zip(old, new, strict=True)
    )  # fmt: skip
    if not same:
        raise DifferentError("two steps in a row asked the host for different numbers", True)


def grads_of_before(t: Trace) -> dict[int, Tensor]:
    """By the id of its array: whose gradient each was when the step began."""
    return {
        id(g.__dict__["array"]): owner
        for owner, grad in t.witness.grads.values()
        if (g := before(grad)) is not None
    }


def source(a: Trace, b: Trace, k: int, tables: list[dict[int, Tensor]]) -> Input:
    """Where the k-th input comes from."""
    old, new = a.tracer.inputs[k], b.tracer.inputs[k]
    given = [[s is x for x in t.arguments].index(True) if s in t.arguments else -1
             for t, s in ((a, old), (b, new))]  # fmt: skip
    found = Input("external", new.first, new.value, new.root)
    if max(given) >= 0:
        if given[0] != given[1]:
            raise DifferentError("an argument of one step was no argument of the next", True)
        if is_held(a, b, new.root):  # a parameter, say, which the caller handed in as well
            if old.root is not new.root:
                raise DifferentError(
                    f"an argument of shape {new.root.shape} is another one at every call, and "
                    "requires a gradient or is a Tensor that the step also reaches by itself. Hand "
                    "in the same Tensor each time, or x.detach()",
                    False,
                )
            return found
        found.kind, found.index = "argument", given[0]
        return found
    owners = [table.get(id(s.root)) for table, s in zip(tables, (old, new), strict=True)]
    if owners[1] is not None and owners[0] is owners[1] and is_kept(a, b, owners[1]):
        found.kind, found.tensor = "gradient", owners[1]
        return found
    if old.root is new.root:
        return found
    if old.beginning() != new.beginning():
        user = next((n for n in b.nodes if new.first in n.values()), new.first.node)
        raise DifferentError(
            f"{said(user.line)}: an array of shape {new.root.shape} is made anew in each step, "
            f"with other numbers, and goes into {user.name}: a replay would keep the old ones. "
            f"{HAND_IN}.",
            False,
        )
    now = new.root if new.initial is None else new.initial
    found.kind, found.array = "constant", now.copy(order="K")
    return found


def is_held(a: Trace, b: Trace, array: Any) -> bool:
    """Whether a Tensor that was there before, and not only as an argument, holds this array."""
    return any(x is array and i in a.witness.tensors for i, (_, x) in b.witness.tensors.items())


def is_kept(a: Trace, b: Trace, t: Tensor) -> bool:
    """Whether both steps saw this Tensor."""
    return id(t) in a.witness.grads and id(t) in b.witness.grads
