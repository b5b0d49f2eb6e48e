"""One traced call: the recording, and where its inputs came from and its results go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.capture.doors import opened
from tinygrad_mmb.capture.errors import CaptureError, said
from tinygrad_mmb.capture.graph import Node, Value, mapped
from tinygrad_mmb.capture.recording import Recording
from tinygrad_mmb.capture.storage import Storage
from tinygrad_mmb.capture.tracer import Tracer
from tinygrad_mmb.capture.witness import Witness


@dataclass(frozen=True)
class Leaf:
    """A result: a Tensor (`tensor`, if it is one that was there before) or an array."""

    value: Value
    kind: str  #                    "tensor" or "array"
    array: Any  #                   as this call computed it
    tensor: Tensor | None = None

    def out(self, array: Any) -> Any:
        """What the caller gets: these numbers in memory of their own."""
        if self.tensor is not None:
            return self.tensor
        array = array.copy(order="K")
        return wrap(array) if self.kind == "tensor" else array


@dataclass
class Trace:
    """What one call did."""

    nodes: list[Node]
    tracer: Tracer
    witness: Witness
    arguments: list[Storage]
    result: Any  #                                    as the step returned it, Leafs inside
    grads: list[tuple[Tensor, Value | None]]  #      what each .grad is afterwards, where it changed
    returned: Any  #                                  for the caller of this very call


def trace(
    step: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    expected: dict[int, tuple[Any, int]] | None = None,
) -> Trace:
    """Run step(*args, **kwargs) for real and record it.

    `expected` tells for arrays (by id) what they hold before the step: code that computes with
    them past the recording is found out.
    Raises: CaptureError for what cannot be recorded; everything is then as it was before.
    """
    tracer = Tracer(expected or {})
    witness = Witness(tracer)
    try:
        with opened(witness):
            arguments = [tracer.enter(a, seen=True).look.storage for a in arrays_of((args, kwargs))]
            args, kwargs = mapped((args, kwargs), lambda x: as_argument(witness, x))
            result = step(*args, **kwargs)
            leaves = mapped(result, lambda x: leaf_of(witness, x))
            grads = gradients(witness)
            refuse_overlaps(tracer)
    except BaseException as error:
        if isinstance(error, CaptureError):
            witness.undo()
        witness.forget()
        raise
    for k, value in enumerate(v for node in tracer.nodes for v in node.outputs):
        value.id = k
    returned = mapped(leaves, lambda x: x.out(x.array) if isinstance(x, Leaf) else x)
    return Trace(tracer.nodes, tracer, witness, arguments, leaves, grads, returned)


def arrays_of(tree: Any) -> list[Any]:
    """The arrays among arguments, in their order."""
    found: list[Any] = []

    def look(x: Any) -> Any:
        if isinstance(x, Tensor):
            found.append(x.__dict__["array"])
        elif isinstance(x, np.ndarray):
            found.append(x)
        return x

    mapped(tree, look)
    return found


def as_argument(witness: Witness, x: Any) -> Any:
    """Arrays as recordings, Tensors as others over the same memory.

    So it can be told whether the step reaches the same Tensor by itself too. One that requires a
    gradient stays itself: it receives the gradient.
    Raises: CaptureError for the result of a recorded operation.
    """
    if isinstance(x, np.ndarray):
        return witness.tracer.enter(x)
    if not isinstance(x, Tensor) or (x._requires_grad and x._grad_fn is None):
        return x
    if x._grad_fn is not None:
        raise CaptureError(
            f"capture: an argument of shape {x.shape} is the result of a recorded operation, and "
            "gradients cannot flow from a replay into what came before it. Pass x.detach(), or "
            "compute it inside the step."
        )
    if id(x) not in witness.stand_ins:
        stand_in = wrap(x.__dict__["array"])
        stand_in._storage = x.memory
        witness.stand_ins[id(x)] = stand_in
    return witness.stand_ins[id(x)]


def leaf_of(witness: Witness, x: Any) -> Any:
    """A result as the plan gives it out."""
    if isinstance(x, Tensor):
        array = x.__dict__["array"]
        name = witness.tracer.enter(array, seen=True).look.name(witness.tracer)
        stand_in = any(x is s for s in witness.stand_ins.values())
        before = id(x) in witness.tensors and not stand_in
        return Leaf(name, "tensor", array, x if before else None)
    if isinstance(x, np.ndarray):
        kind: Any = type(x)
        recording: Any = x if kind is Recording else witness.tracer.enter(x, seen=True)
        return Leaf(recording.look.name(witness.tracer), "array", recording.value)
    return x


def gradients(witness: Witness) -> list[tuple[Tensor, Value | None]]:
    """Every .grad that the step made, wrote or took away."""
    found: list[tuple[Tensor, Value | None]] = []
    for t, before in list(witness.grads.values()):
        now = t._grad
        if now is None:
            if before is not None:
                found.append((t, None))
            continue
        x = witness.tracer.enter(now.__dict__["array"], seen=True)
        if now is not before or x.look.storage.version:
            found.append((t, x.look.name(witness.tracer)))
    return found


def refuse_overlaps(tracer: Tracer) -> None:
    """Raise if inputs share part of their memory and one of them is written."""
    for storage, array in tracer.overlaps:
        other = tracer.enter(array, seen=True).look.storage
        if storage.version or other.version:
            node = (storage if storage.version else other).value.node
            raise CaptureError(
                f"{said(node.line)}: two arrays of the step, of shapes {storage.first.shape} and "
                f"{other.first.shape}, share part of their memory, and one of them is written. "
                "Give each its own memory: x.clone()."
            )
