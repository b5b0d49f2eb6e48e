"""From two traces to a plan that is ready to run, checked against the second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinygrad_mmb.backend.allocator import empty_cache
from tinygrad_mmb.capture.alike import agree
from tinygrad_mmb.capture.compare import DifferentError, Input, compared
from tinygrad_mmb.capture.compiled import CompiledReplay
from tinygrad_mmb.capture.compiler import is_wanted
from tinygrad_mmb.capture.errors import CaptureError
from tinygrad_mmb.capture.fusion import fuse
from tinygrad_mmb.capture.guards import Guards
from tinygrad_mmb.capture.natively import in_place
from tinygrad_mmb.capture.plan import Lowering, Plan
from tinygrad_mmb.capture.pooled import gate_at_maxima
from tinygrad_mmb.capture.replay import Replay
from tinygrad_mmb.capture.schedule import scheduled
from tinygrad_mmb.capture.simplify import Program
from tinygrad_mmb.capture.storage import digest
from tinygrad_mmb.capture.surroundings import watched
from tinygrad_mmb.capture.trace import Trace, arrays_of, trace

LARGE = 1 << 22  # bytes of an arena: for smaller ones it is not worth the page faults
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
    before = [t for old, t in waiting if agree(key, old)]
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
        hand_back(plan)  # what the traced steps have used: from now on the arena takes its place
        replay = Replay(plan)
        if captured.check:
            check(now, inputs, plan, replay, arrays)
        if is_wanted():
            replay = CompiledReplay(plan, replay.arena)
        waiting[:] = [(k, t) for k, t in waiting if t is not earlier]
        held = {id(x.array) for x in inputs if x.is_written}
        written = [t.memory for t, x in now.witness.tensors.values() if id(x) in held]
        earlier.witness.forget()
        now.witness.forget()
        hand_back(plan)  # the gradients of before
        return now, Ready(plan, replay, guards, written)
    if reason is not None and (not reason.structure or len(before) + 1 >= PATIENCE):
        now.witness.undo()
        raise CaptureError(str(reason)) from None
    now.witness.settle()
    waiting.append((key, now))
    for _, old in waiting[:-PATIENCE]:
        old.witness.forget()
    del waiting[:-PATIENCE]
    return now, None


def planned(now: Trace, inputs: list[Input]) -> Plan:
    """The plan of one program."""
    program = Program(now, inputs, in_place if is_wanted() else None)
    if is_wanted():
        fuse(program)
        gate_at_maxima(program)
    return Lowering(program, scheduled(program), now.tracer.reads).plan()


def hand_back(plan: Plan) -> None:
    """Give what is kept for later arrays back to the system, if there is much of it."""
    if plan.arena_bytes > LARGE:
        empty_cache()


def contents(t: Trace) -> dict[int, tuple[Any, int]]:
    """Digests of all that a step of before had found in memory of the outside."""
    given = {id(s) for s in t.arguments}
    return {id(s.root): (s.root, digest(s.root)) for s in t.tracer.inputs if id(s) not in given}


def check(now: Trace, inputs: list[Input], plan: Plan, replay: Replay, arrays: list[Any]) -> None:
    """Replay the step just traced from its own beginning: every bit of what it returns, of what it
    writes and of its gradients must be the same.

    What the step has computed is compared by digests, and not kept meanwhile: gradients that it
    made are those of the replay afterwards, in the memory of the plan.
    Raises: CaptureError if a bit differs; everything is then as it was before the step.
    """
    storages = {id(s.root): s for s in now.tracer.inputs}
    written = [(x, storages[id(x.array)]) for x in inputs if x.is_written and x.kind != "constant"]
    after = [digest(s.root) for _, s in written]
    returned = [digest(a) for a in arrays_of(now.returned)]
    added = {id(s.root): s.root.copy() for x, s in written if x.kind == "gradient"}
    grads = [(t, None if t._grad is None else digest(t._grad.array)) for t, _ in plan.gradients]
    kept = [(t, g) for t, _ in grads if (g := t._grad) is not None and id(g.array) in added]
    for t, _ in grads:
        t._grad = None
    hand_back(plan)
    try:
        for _, s in written:
            s.root[...] = s.initial
        now.witness.put_gradients_back()
        results = arrays_of(replay.run(arrays, [value for _, _, value in now.tracer.reads]))
        wrong = [s.first.shape for (x, s), was in zip(written, after, strict=True)
                 if x.kind != "gradient" and digest(s.root) != was]  # fmt: skip
        wrong += [t.shape for t, was in grads
                  if was != (None if t._grad is None else digest(t._grad.array))]  # fmt: skip
        wrong += [a.shape for a, was in zip(results, returned, strict=True) if digest(a) != was]
        if wrong:
            raise CaptureError(
                f"the replay does not repeat the step: arrays of shapes {wrong[:4]} differ. Some "
                "code in the step writes into NumPy arrays that it held from before the step, or a "
                "function of it does not give the same numbers twice. Take arrays from Tensors "
                "inside the step."
            )
    except BaseException:
        now.witness.undo()
        raise
    for s in [s for x, s in written if x.kind == "gradient"]:
        s.root[...] = added[id(s.root)]
    for t, grad in kept:  # the Tensor that it was, as the step adds to it
        t._grad = grad
