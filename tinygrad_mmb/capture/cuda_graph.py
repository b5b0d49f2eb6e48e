"""A captured step on a GPU: after warm-ups its launches become one CUDA graph.

The step runs once more while its stream is recorded: Python's work is done, the GPU's is not, but
is noted by the driver with all its addresses and numbers. Whatever changes from step to step must
therefore lie in memory of the device that stays where it is:

    arguments             are copied into arrays of the graph's own
    lr, t, betas, ...     are elements of one array, and their formulas are the host's (scalars.py)
    masks of dropout      are drawn by the host and copied, one array each
    all that is computed  lies in a memory pool that nobody else takes from

A replay fills these, launches the graph and copies the results. What cannot be recorded (the host
waits for a number, a copy from the host) makes the step run as it is, and `explain` says why.
"""

from __future__ import annotations

import operator
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

import numpy as np

from tinygrad_mmb.autograd.storage import clock
from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.backend.arrays import on_device
from tinygrad_mmb.capture import guards
from tinygrad_mmb.capture.alike import Dictionaries, agree, same, unchanged
from tinygrad_mmb.capture.doors import opened
from tinygrad_mmb.capture.errors import CaptureError, is_ours, said
from tinygrad_mmb.capture.graph import mapped
from tinygrad_mmb.capture.pause import collector_paused
from tinygrad_mmb.capture.replay import compiled
from tinygrad_mmb.capture.scalars import Scalar
from tinygrad_mmb.capture.trace import Leaf, arrays_of
from tinygrad_mmb.capture.witness import Witness, attributes, before, nobody
from tinygrad_mmb.optim.optimizer import option

WARM_UPS = 2  #      calls of a signature that run as they are: kernels are built, states are made
LIBRARY: tuple[str, ...] = ("cupy",)  # modules that no user has written
SLOTS = 1 << 14  #   numbers of the host that one graph may read


class Number(Scalar):
    """A number of the host: where it meets an array, one element of the graph's numbers."""

    __slots__ = ()
    __array_ufunc__ = None  # type: ignore[assignment]  # CuPy leaves array * number to us

    def upload(self, x: Any, make: Callable[..., Any], *args: Any) -> Any:
        """make(*args), an array of the host, where x lies; made and copied before each launch."""
        return self.tracer.upload(x, make, args)


def _define(name: str, compute: Callable[[Any, Any], Any]) -> None:
    forward, backward = getattr(Scalar, f"__{name}__"), getattr(Scalar, f"__r{name}__")

    def left(self: Number, other: Any) -> Any:
        if on_device(other):
            return compute(self.tracer.number(self, other), other)
        return forward(self, other)

    def right(self: Number, other: Any) -> Any:
        if on_device(other):
            return compute(other, self.tracer.number(self, other))
        return backward(self, other)

    setattr(Number, f"__{name}__", left)
    setattr(Number, f"__r{name}__", right)


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    _define(_name, getattr(operator, _name))


class Numbers:
    """What the step asks while it is recorded (kernels/recorder.py), and the host's numbers."""

    def __init__(self, xp: Any) -> None:
        self.reads: list[tuple[Any, tuple[Any, ...], Any]] = []
        self.branches: list[tuple[str, bool]] = []
        self.inputs: list[Any] = []  # of the tracer of the CPU; the device is never written here
        self.before_host: Callable[[Any, Any], None] = lambda read, args: None
        self.thread, self.done, self._pauses = threading.get_ident(), False, 0
        self.buffer = xp.zeros(SLOTS, np.float64)
        self.texts: dict[str, int] = {}
        self.uploads: list[tuple[Any, Callable[..., Any], tuple[Any, ...]]] = []
        self._there: dict[tuple[int, Any], Any] = {}

    @property
    def listens(self) -> bool:
        """Whether this thread is recorded at this moment."""
        return not self.done and not self._pauses and threading.get_ident() == self.thread

    def reference(self, function: Any) -> Callable[..., Any]:
        """The forward of an op: it launches as ever."""
        forward: Callable[..., Any] = function.forward
        return forward

    def twin(self, key: str, run: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """A twin launches as ever."""
        return run(*args, **options)

    def declines(self, args: Any, options: Any) -> bool:
        """Whether a twin would pass numbers by value that change: then the formula runs."""
        found: list[Any] = []
        mapped((tuple(args), options), found.append)
        return any(isinstance(x, Number) for x in found)

    def host(self, read: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """A number that the host makes anew before every launch."""
        self.before_host(read, args)
        self._pauses += 1
        try:
            value = read(*args)
        finally:
            self._pauses -= 1
        text, fixed = f"h{len(self.reads)}", read is option
        self.reads.append((read, args, value))
        if type(value) is tuple and all(type(x) in (int, float) for x in value):
            return tuple([Number(self, x, f"{text}[{k}]", fixed) for k, x in enumerate(value)])
        return Number(self, value, text, fixed) if type(value) in (int, float) else value

    def slot(self, x: Number) -> int:
        """Which of the numbers x is."""
        index = self.texts.setdefault(x.text, len(self.texts))
        if index >= SLOTS:
            raise CaptureError(f"the step reads more than {SLOTS} numbers of the host")
        return index

    def number(self, x: Number, beside: Any) -> Any:
        """x as a 0-d array of the dtype of a floating array `beside`."""
        if beside.dtype.kind != "f":
            raise CaptureError(f"{x.text}, which changes, is combined with {beside.dtype} numbers")
        key = self.slot(x), beside.dtype
        if key not in self._there:
            at = self.buffer[key[0] : key[0] + 1].reshape(())
            self._there[key] = at.astype(beside.dtype)
        return self._there[key]

    def upload(self, x: Any, make: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Memory for what the host makes before every launch."""
        like = make(*[a.value if isinstance(a, Number) else a for a in args])
        slots = tuple([Slot(self.slot(a)) if isinstance(a, Number) else a for a in args])
        self.uploads.append((namespace_of(x).empty(like.shape, like.dtype), make, slots))
        return self.uploads[-1][0]

    def send(self, hosts: list[Any]) -> None:
        """The numbers of one step to the device."""
        values = compiled(list(self.texts), len(hosts))(*hosts)
        if values:
            self.buffer[: len(values)].set(np.array(values, np.float64))
        for array, make, args in self.uploads:
            array.set(make(*[values[a] if isinstance(a, Slot) else a for a in args]))

    # What the witness of the CPU's recording asks besides.

    def known(self, array: Any) -> None:
        """No array has a name here."""

    def forget(self) -> None:
        """Nothing of before needs to be kept."""


class Slot(int):
    """The place of a number among the arguments of a function of the host."""


class Seen(Witness):
    """Which Tensors of before took part. Those that the step made itself are gone afterwards."""

    def __init__(self, numbers: Numbers) -> None:
        super().__init__(numbers)  # type: ignore[arg-type]
        self.refs: dict[int, tuple[weakref.ref[Tensor], int]] = {}  # and the version it had

    def saw(self, t: Tensor, array: Any) -> Any:
        if not on_device(array):
            raise CaptureError(f"a Tensor of shape {array.shape} of the step lies on the CPU")
        held = self.refs.get(id(t))
        if held is None or held[0]() is not t:
            self.refs[id(t)] = weakref.ref(t), t.memory.version
            if t._requires_grad and t._grad_fn is None:
                self.met(t)
        return array

    def alive(self) -> list[tuple[Tensor, int]]:
        """Those that are still there."""
        return [(t, version) for ref, version in self.refs.values() if (t := ref()) is not None]


class CudaGraph:
    """One signature of a step as a CUDA graph.

    Raises: CaptureError, or what CUDA says, if it cannot be made; the step has then done nothing.
    """

    def __init__(self, step: Callable[..., Any], args: Any, kwargs: Any) -> None:
        xp = sys.modules["cupy"]
        given, self.pool = (args, kwargs), xp.cuda.MemoryPool()
        self.step, self.signature, self.mode = step, guards.signature(given), guards.mode()
        self.outside, self.objects = guards.outside(step), guards.watched(step, given)
        self.numbers = Numbers(xp)
        self.inputs: list[tuple[Tensor, Tensor]] = []  # as handed in, and the graph's own
        arrays = arrays_of(given)
        self.pattern = guards.pattern(arrays)
        args, kwargs = mapped(given, self._argument)
        seen = Seen(self.numbers)
        stream = xp.cuda.Stream(non_blocking=True)
        try:
            with collector_paused(), opened(seen), recorded(xp, stream, self.pool) as made:
                self.result = mapped(step(*args, **kwargs), self._leaf)
            self._require_no_feedback(seen)
        except BaseException:
            seen.undo()
            raise
        self.graph = made[0]
        self.places = [own.__dict__["array"] for _, own in self.inputs]
        self.indices = [next(k for k, a in enumerate(arrays) if a is t.__dict__["array"])
                        for t, _ in self.inputs]  # fmt: skip
        self.gradients = [(t, t._grad) for t, was in seen.grads.values() if t._grad is not was]
        self._guard(seen)
        self.inputs.clear()
        self.numbers.before_host = nobody  # it would keep what the step found alive
        self.first: list[Any] | None = [value for _, _, value in self.numbers.reads]

    def _argument(self, x: Any) -> Any:
        """An argument, or a Tensor of the graph's own in its place."""
        if not isinstance(x, Tensor):
            if isinstance(x, np.ndarray) or on_device(x):
                raise CaptureError("an argument is a bare array: hand in a Tensor on the GPU")
            return x
        if x._grad_fn is not None:
            raise CaptureError("an argument is the result of a recorded operation: x.detach()")
        array = x.__dict__["array"]
        if not on_device(array):
            raise CaptureError(f"an argument of shape {x.shape} lies on the CPU")
        if x._requires_grad:
            return x  # it receives the gradient; the guards ask that it is this one
        own = next((b for a, b in self.inputs if a is x), None)
        if own is None:
            own = wrap(array.copy(order="K"))
            self.inputs.append((x, own))
        return own

    def _leaf(self, x: Any) -> Any:
        """A result; a leaf that the step found, a parameter, is returned itself."""
        if isinstance(x, Tensor):
            itself = x if x._requires_grad and x._grad_fn is None else None
            return Leaf(None, "tensor", x.__dict__["array"], itself)  # type: ignore[arg-type]
        return Leaf(None, "array", x) if on_device(x) else x  # type: ignore[arg-type]

    def _require_no_feedback(self, seen: Seen) -> None:
        """Raise for what another launch at the same addresses would not repeat."""
        alive = {id(t) for t, _ in seen.alive()}
        if any((g := before(was)) is not None and id(g) in alive for _, was in seen.grads.values()):
            raise CaptureError("it adds to gradients of before: zero_grad() inside the step")
        if any(own.memory.version for _, own in self.inputs):
            raise CaptureError("it writes into an argument")

    def _guard(self, seen: Seen) -> None:
        """What must be as it is now for the next launch."""
        own = {id(b) for _, b in self.inputs} | {id(g) for _, g in self.gradients}
        alive = [(t, version) for t, version in seen.alive() if id(t) not in own]
        self.tensors = [t for t, _ in alive]
        self.arrays = [t.__dict__["array"] for t in self.tensors]
        self.wanting = [t._requires_grad for t in self.tensors]
        self.written = [t.memory for t, version in alive if t.memory.version != version]
        self.had = [(t, before(was) is not None) for t, was in seen.grads.values()]
        self.leaves = [(leaf, leaf.hooks, guards.seen_by(leaf.hooks) if leaf.hooks else [])
                       for t in self.tensors if (leaf := t._leaf) is not None]  # fmt: skip
        self.modules = Dictionaries(
            (vars(m), unchanged(was, attributes(m))) for m, was in seen.modules.values()
        )
        self.optimizers = [
            (o, o.state, [(g, g["params"], len(g["params"])) for g in o.param_groups])
            for o, _ in seen.optimizers.values()
        ]
        self.options = [(args, value) for read, args, value in self.numbers.reads
                        if read is option and type(value) in (bool, str, type(None))]  # fmt: skip
        self.branches = guards.branches_of(seen)  # type: ignore[arg-type]

    def holds(self, given: Any, arrays: list[Any]) -> bool:
        """Whether a launch computes what the step would."""
        return (
            self.mode == guards.mode()
            and agree(self.signature, guards.signature(given))
            and guards.pattern(arrays) == self.pattern
            and all(same(old, read()) for read, old in self.outside)
            and all(same(v, vars(x).get(k)) for x, was in self.objects for k, v in was.items())
            and all(map(operator.is_, [t.__dict__["array"] for t in self.tensors], self.arrays))
            and [t._requires_grad for t in self.tensors] == self.wanting
            and all((t._grad is not None) == had for t, had in self.had)
            and all(leaf.hooks is hooks and (guards.seen_by(hooks) if hooks else []) == was
                    for leaf, hooks, was in self.leaves)
            and self.modules.hold()
            and all(o.state is s and guards.groups_hold(o, g) for o, s, g in self.optimizers)
            and all(same(value, option(*read)) for read, value in self.options)
            and self.branches()
        )  # fmt: skip

    def launch(self, arrays: list[Any]) -> Any:
        """One step: the inputs, the graph, and copies of the results."""
        hosts = self.first or [read(*args) for read, args, _ in self.numbers.reads]
        self.first = None  # recording the step has made them already
        for place, k in zip(self.places, self.indices, strict=True):
            place[...] = arrays[k]
        self.numbers.send(hosts)
        self.graph.launch(sys.modules["cupy"].cuda.get_current_stream())
        for t, grad in self.gradients:
            t._grad = grad
        now = clock()
        for storage in self.written:
            storage.written = now
            storage.version += 1
        return mapped(self.result, lambda x: x.out(x.array) if isinstance(x, Leaf) else x)


@contextmanager
def recorded(xp: Any, stream: Any, pool: Any) -> Any:
    """Record what is launched on `stream`, its memory from `pool`; yields a list for the graph."""
    if not hasattr(stream, "begin_capture"):
        raise CaptureError("this CuPy cannot record CUDA graphs: install a newer one")
    made: list[Any] = []
    with xp.cuda.using_allocator(pool.malloc), stream:
        stream.begin_capture()
        try:
            yield made
        except BaseException:
            with suppress(Exception):  # CUDA says again that the recording is lost
                stream.end_capture()
            raise
        made.append(stream.end_capture())
    made[0].upload(stream)


class DeviceSteps:
    """The graphs of a captured step, one for each signature, and why others have none."""

    def __init__(self, captured: Any) -> None:
        self.captured = captured
        self.graphs: list[CudaGraph] = []  # the last used first
        self.refused: list[tuple[Any, str]] = []
        self._warm: list[list[Any]] = []  # signatures, and how often each has run

    def call(self, args: Any, kwargs: Any, arrays: list[Any]) -> Any:
        """One step."""
        counts, step, given = self.captured._counts, self.captured.step, (args, kwargs)
        for k, graph in enumerate(self.graphs):
            if graph.holds(given, arrays):
                self.graphs.insert(0, self.graphs.pop(k))
                counts["replays"] += 1
                return graph.launch(arrays)
        key = guards.mode(), guards.signature(given)
        if any(agree(key, old) for old, _ in self.refused):
            counts["eager"] += 1
            return step(*args, **kwargs)
        warm = next((w for w in self._warm if agree(w[0], key)), None)
        if warm is None:
            self._warm.append(warm := [key, 0])
        if warm[1] < WARM_UPS:
            warm[1] += 1
            counts["traces"] += 1
            return step(*args, **kwargs)
        try:
            graph = CudaGraph(step, args, kwargs)
        except Exception as error:
            line = line_of(error.__traceback__)
            self.refused.append((key, f"{line}: {type(error).__name__}: {error}"))
            counts["eager"] += 1
            return step(*args, **kwargs)
        self.graphs.insert(0, graph)
        while len(self.graphs) > self.captured.max_plans:
            release(self.graphs.pop())
            counts["evicted"] += 1
        counts["replays"] += 1
        return graph.launch(arrays)

    def clear(self) -> None:
        """Forget all graphs and give their memory back."""
        while self.graphs:
            release(self.graphs.pop())
        self.refused.clear()
        self._warm.clear()

    def explain(self) -> str:
        """What runs as a graph, and what does not and why."""
        lines = [
            f"CUDA graph: {len(g.places)} arguments, {len(g.numbers.texts)} numbers and "
            f"{len(g.numbers.uploads)} masks from the host, {g.pool.total_bytes()} bytes"
            for g in self.graphs
        ]
        return "\n".join(lines + [f"no CUDA graph, {reason}" for _, reason in self.refused])


def release(graph: CudaGraph) -> None:
    """Let go of a graph; memory that no .grad holds goes back to the device."""
    pool = graph.pool
    vars(graph).clear()
    pool.free_all_blocks()


def namespace_of(x: Any) -> Any:
    """The library of an array of the device."""
    return sys.modules["cupy"] if on_device(x) else np


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
