"""From two traces to a plan that is ready to run, checked against the second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_mmb.capture.compare import DifferentError, Input, compared
from tinygrad_mmb.capture.compiled import CompiledReplay
from tinygrad_mmb.capture.compiler import is_wanted
from tinygrad_mmb.capture.errors import CaptureError
from tinygrad_mmb.capture.guards import Guards, same_signature, watched
from tinygrad_mmb.capture.plan import Lowering, Plan
from tinygrad_mmb.capture.replay import Replay
from tinygrad_mmb.capture.schedule import scheduled
from tinygrad_mmb.capture.simplify import Program
from tinygrad_mmb.capture.trace import Trace, arrays_of, trace

PATIENCE = 4  # traces of one signature, no two alike, after which a step is refused


@dataclass
class Ready:
    """A plan, its memory, when it holds, and the storage records of what it writes."""

    plan: Plan
    replay: Replay
    guards: Guards
    written: list[Any]


def traced(
    captured: Any, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Trace, Ready | None]:
    """Run the step once, recorded; if an earlier call did the same, make a plan of both."""
    waiting = captured._waiting
    before = [t for old, t in waiting if same_signature(key, old)]
    expected = contents(before[-1]) if before and captured.check else {}
    arrays = arrays_of((args, kwargs))
    objects = watched(captured.step, (args, kwargs))
    now = trace(captured.step, args, kwargs, expected)
    reason = None
    for earlier in reversed(before):
        try:
            inputs = compared(earlier, now)
        except DifferentError as error:
            reason = reason or error
            continue
        plan = planned(now, inputs)
        guards = Guards(captured.step, (args, kwargs), earlier, now, plan, objects)
        replay = Replay(plan)
        if captured.check:
            check(now, inputs, plan, replay, arrays)
        if is_wanted():
            replay = CompiledReplay(plan)
        waiting[:] = [(k, t) for k, t in waiting if t is not earlier]
        held = {id(x.array) for x in inputs if x.is_written}
        written = [t.memory for t, x in now.witness.tensors.values() if id(x) in held]
        earlier.tracer.forget()
        now.tracer.forget()
        return now, Ready(plan, replay, guards, written)
    if reason is not None and (not reason.structure or len(before) + 1 >= PATIENCE):
        now.witness.undo()
        raise CaptureError(str(reason)) from None
    waiting.append((key, now))
    del waiting[:-PATIENCE]
    return now, None


def planned(now: Trace, inputs: list[Input]) -> Plan:
    """The plan of one program."""
    program = Program(now, inputs)
    return Lowering(program, scheduled(program), now.tracer.reads).plan()


def contents(t: Trace) -> dict[int, tuple[Any, Any]]:
    """Copies of all that a step of before had found in memory of the outside."""
    given = {id(s) for s in t.arguments}
    return {id(s.root): (s.root, s.root.copy()) for s in t.inputs if id(s) not in given}


def check(now: Trace, inputs: list[Input], plan: Plan, replay: Replay, arrays: list[Any]) -> None:
    """Replay the step just traced from its own beginning: every bit must be the same.

    Raises: CaptureError if not; the step as traced then stands.
    """
    storages = {id(s.root): s for s in now.inputs}
    written = [storages[id(x.array)] for x in inputs if x.is_written and x.kind != "constant"]
    after = [(s, s.root.copy()) for s in written]
    grads = [(t, t._grad) for t, _ in plan.gradients]
    held = [None if g is None else g.array.copy() for _, g in grads]
    for s in written:
        s.root[...] = s.initial
    for t, grad in now.witness.grads.values():
        t._grad = grad
    replay.run(arrays, [value for _, _, value in now.tracer.reads])
    moved = {id(x.array) for x in inputs if x.kind == "gradient"}  # .grad is compared below
    wrong = [
        s.root.shape for s, x in after if id(s.root) not in moved and not bits_equal(s.root, x)
    ]
    for (t, _), x in zip(grads, held, strict=True):
        if (t._grad is None) is not (x is None) or (
            t._grad is not None and not bits_equal(t._grad.array, x)
        ):
            wrong.append(t.shape)
    for s, x in after:
        s.root[...] = x
    for t, grad in grads:
        t._grad = grad
    if wrong:
        now.witness.undo()
        raise CaptureError(
            f"the replay does not repeat the step: arrays of shapes {wrong[:4]} differ. Some code "
            "in the step writes into NumPy arrays that it held from before the step, or a function "
            "of it does not give the same numbers twice. Take arrays from Tensors inside the step."
        )


def bits_equal(a: Any, b: Any) -> bool:
    """The same bytes, whatever the layout."""
    return a is b or bool(np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes())
