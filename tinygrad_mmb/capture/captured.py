"""capture(step): the calls, the plans, and which of them holds."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from tinygrad_mmb.autograd.storage import clock
from tinygrad_mmb.backend.arrays import on_device


class CacheInfo(NamedTuple):
    """What a captured step has done so far."""

    replays: int  #    calls that ran a plan
    traces: int  #     calls that ran the step and recorded it
    eager: int  #      calls that ran the step as it is (fallback=True)
    plans: int  #      plans there are
    evicted: int  #    plans thrown away because there were more than max_plans


def capture(
    step: Callable[..., Any] | None = None,
    *,
    fallback: bool = False,
    max_plans: int = 8,
    check: bool = True,
) -> Any:
    """A training step (or any function of Tensors) that is traced once and then replayed.

        @tm.capture
        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

    The first calls run the step and record it; when two in a row did the same, a plan is made.
    Arguments, numbers of optimizers and schedules, dropout's masks and running statistics change
    from call to call as they do without capture; a new shape, dtype, mode or parameter makes a new
    plan (at most `max_plans`; the oldest goes). Python code runs while tracing only: a `print` or a
    list.append in the step does nothing in a replay. Results are new Tensors without a graph; .grad
    is memory that the next replay writes over.

    Raises: CaptureError for what cannot be replayed (a branch on a value, .item(), numbers that
    Python changes), with the line and the mend; the refused call has changed nothing. With
    `fallback` such a step runs as it is. `check` compares a first replay in NumPy with the traced
    step, bit by bit: results, all that it writes, gradients. Where the C++ kernels are, later
    replays run in C++ and equal the step to rounding.
    """
    if step is None:
        return functools.partial(capture, fallback=fallback, max_plans=max_plans, check=check)
    if not callable(step):
        raise TypeError(f"capture: expected a function, but got {type(step).__name__}")
    if max_plans < 1:
        raise ValueError(f"capture: max_plans is {max_plans}, but should be 1 or more")
    return CapturedStep(step, fallback, max_plans, check)


class CapturedStep:
    """What capture returns: call it as the step itself. Threads take turns."""

    def __init__(
        self, step: Callable[..., Any], fallback: bool, max_plans: int, check: bool
    ) -> None:
        functools.update_wrapper(self, step)
        self.step, self.fallback, self.max_plans, self.check = step, fallback, max_plans, check
        self.plans: list[Any] = []  # Ready ones, the last used first
        self._waiting: list[Any] = []  # traces that have found no second one like them
        self._refused: list[tuple[Any, Any]] = []  # what runs as it is
        self._counts = dict.fromkeys(("replays", "traces", "eager", "evicted"), 0)
        self._lock = threading.RLock()
        self._running = False
        self._device: Any = None  # a DeviceSteps, once an argument lies on a GPU

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from tinygrad_mmb.kernels import recorder

        active: Any = recorder.active
        if active is not None and active.thread == threading.get_ident():
            return self.step(*args, **kwargs)  # inside another captured step: part of it
        with self._lock:
            if self._running:
                return self.step(*args, **kwargs)
            self._running = True
            try:
                return self._call(args, kwargs)
            finally:
                self._running = False

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        """A captured method: its object is the first argument."""
        return self if owner is None else functools.partial(self, owner)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        from tinygrad_mmb.capture.trace import arrays_of

        given = (args, kwargs)
        arrays = arrays_of(given)
        if on_device(arrays):
            return self._on_device().call(args, kwargs, arrays)
        for k, ready in enumerate(self.plans):
            if ready.guards.hold(given, arrays):
                if k:
                    self.plans.insert(0, self.plans.pop(k))
                result = ready.replay.run(arrays)
                now = clock()
                for storage in ready.written:  # a graph that saved the old values must notice
                    storage.written = now
                    storage.version += 1
                self._counts["replays"] += 1
                return result
        return self._trace(args, kwargs)

    def _on_device(self) -> Any:
        from tinygrad_mmb.capture.device_steps import DeviceSteps

        self._device = self._device or DeviceSteps(self)
        return self._device

    def _trace(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        from tinygrad_mmb.capture.alike import agree
        from tinygrad_mmb.capture.errors import CaptureError
        from tinygrad_mmb.capture.pause import collector_paused
        from tinygrad_mmb.capture.ready import traced
        from tinygrad_mmb.capture.surroundings import mode, signature

        key = (mode(), signature((args, kwargs)))
        if any(agree(key, old) for old in self._refused):
            self._counts["eager"] += 1
            return self.step(*args, **kwargs)
        self._counts["traces"] += 1
        try:
            with collector_paused():
                done, ready = traced(self, key, args, kwargs)
        except CaptureError:
            self._forget_traces()
            if not self.fallback:
                raise
            self._refused.append(key)
            self._counts["eager"] += 1
            return self.step(*args, **kwargs)
        if ready is not None:
            self.plans.insert(0, ready)
            while len(self.plans) > self.max_plans:
                self.plans.pop()
                self._counts["evicted"] += 1
        return done.returned

    def _forget_traces(self) -> None:
        for _, trace in self._waiting:
            trace.witness.forget()
        self._waiting.clear()

    def cache_info(self) -> CacheInfo:
        """Counts of replays, traces, eager calls, plans."""
        c = self._counts
        plans = len(self.plans) + (len(self._device.graphs) if self._device else 0)
        return CacheInfo(c["replays"], c["traces"], c["eager"], plans, c["evicted"])

    def cache_clear(self) -> None:
        """Forget all plans and counts; the next calls trace anew."""
        with self._lock:
            self.plans.clear()
            if self._device:
                self._device.clear()
            self._forget_traces()
            self._refused.clear()
            self._counts = dict.fromkeys(self._counts, 0)

    @property
    def plan(self) -> Any:
        """The plan used last.

        Raises: RuntimeError before there is one.
        """
        if not self.plans:
            raise RuntimeError(
                "capture: there is no plan yet. Two calls of the step that do the same are traced "
                "first; call it again."
            )
        return self.plans[0].plan

    def explain(self) -> str:
        """The plan used last, as text: instructions, buffers, bytes, flops."""
        from tinygrad_mmb.capture.explain import explained

        if self._device and not self.plans:
            return str(self._device.explain())
        return explained(self.plan)

    def to_dot(self) -> str:
        """The recorded step as a graph for Graphviz."""
        from tinygrad_mmb.capture.drawing import dot

        return dot(self.plan)

    def to_mermaid(self) -> str:
        """The recorded step as a graph for Mermaid."""
        from tinygrad_mmb.capture.drawing import mermaid

        return mermaid(self.plan)

    def independent_subgraphs(self) -> list[list[str]]:
        """For each result the operations that only it needs, as the heads of a network."""
        from tinygrad_mmb.capture.subgraphs import independent

        return [[node.name for node in nodes] for nodes in independent(self.plan)]
