"""A captured step on a GPU: warm-ups, then one CUDA graph for each signature (cuda_graph.py).

What cannot be recorded (the host waits for a number, a copy from the host) makes the step run as it
is, and `explain` says why and where.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from tinygrad_mmb.capture.alike import agree
from tinygrad_mmb.capture.cuda_graph import CudaGraph, release
from tinygrad_mmb.capture.errors import UnsettledError, is_ours, said
from tinygrad_mmb.capture.literals import Call, Literals, noted
from tinygrad_mmb.capture.questions import Question, Questions, answered
from tinygrad_mmb.capture.ready import PATIENCE
from tinygrad_mmb.capture.surroundings import mode, signature

WARM_UPS = 2  #      calls of a signature that run as they are: kernels are built, states are made
LIBRARY: tuple[str, ...] = ("cupy",)  # modules that no user has written


@dataclass
class Known:
    """A signature that has been met, and what its last call without recording did."""

    key: Any
    calls: int = 0
    did: list[Call] = field(default_factory=list)
    asked: list[Question] = field(default_factory=list)
    unsettled: int = 0  # recordings in a row that did something else than the call before


class DeviceSteps:
    """The graphs of a captured step, one for each signature, and why others have none."""

    def __init__(self, captured: Any) -> None:
        self.captured = captured
        self.graphs: list[CudaGraph] = []  # the last used first
        self.refused: list[tuple[Any, str]] = []
        self._known: list[Known] = []

    def call(self, args: Any, kwargs: Any, arrays: list[Any]) -> Any:
        """One step."""
        counts, step, given = self.captured._counts, self.captured.step, (args, kwargs)
        for k, graph in enumerate(self.graphs):
            if graph.holds(given, arrays):
                self.graphs.insert(0, self.graphs.pop(k))
                counts["replays"] += 1
                return graph.launch(arrays)
        key = mode(), signature(given)
        if any(agree(key, old) for old, _ in self.refused):
            counts["eager"] += 1
            return step(*args, **kwargs)
        known = next((x for x in self._known if agree(x.key, key)), None)
        if known is None:
            self._known.append(known := Known(key))
        if known.calls < WARM_UPS:
            return self._warm_up(known, args, kwargs, arrays)
        try:
            graph = CudaGraph(step, args, kwargs, known.did, known.asked)
        except Exception as error:
            if isinstance(error, UnsettledError):
                known.unsettled += 1
                if known.unsettled < PATIENCE:
                    return self._warm_up(known, args, kwargs, arrays)
            counts["eager"] += 1
            result = step(*args, **kwargs)  # which raises what is the step's own error
            line = line_of(error.__traceback__)
            self.refused.append((key, f"{line}: {type(error).__name__}: {error}"))
            return result
        known.unsettled = 0
        self.graphs.insert(0, graph)
        while len(self.graphs) > self.captured.max_plans:
            release(self.graphs.pop())
            counts["evicted"] += 1
        counts["replays"] += 1
        return graph.launch(arrays)

    def _warm_up(self, known: Known, args: Any, kwargs: Any, arrays: list[Any]) -> Any:
        """The step as it is; what it hands to its operations, and what it asks of its arguments, is
        noted for the recording.
        """
        self.captured._counts["traces"] += 1
        known.calls += 1
        literals, questions = Literals(), Questions(arrays)
        with noted(literals), answered(questions):
            result = self.captured.step(*args, **kwargs)
        known.did, known.asked = literals.found, questions.found
        return result

    def clear(self) -> None:
        """Forget all graphs and give their memory back."""
        while self.graphs:
            release(self.graphs.pop())
        self.refused.clear()
        self._known.clear()

    def explain(self) -> str:
        """What runs as a graph, and what does not and why."""
        lines = [
            f"CUDA graph: {len(g.places)} arguments, {len(g.numbers.texts)} numbers and "
            f"{len(g.numbers.uploads)} masks from the host, {g.pool.total_bytes()} bytes"
            for g in self.graphs
        ]
        return "\n".join(lines + [f"no CUDA graph, {reason}" for _, reason in self.refused])


def line_of(trace: TracebackType | None) -> str:
    """Where in the user's code something was raised."""
    found = ("", 0)
    while trace is not None:
        frame = trace.tb_frame
        module = frame.f_globals.get("__name__", "")
        if not is_ours(frame.f_code.co_filename) and not module.startswith(LIBRARY):
            found = frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next
    return said(found) if found[1] else "the step"
