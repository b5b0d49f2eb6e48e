"""One signature of a step on a GPU as a CUDA graph: how it is recorded, and how it is launched.

The step runs while its stream is recorded: Python's work is done, the GPU's is not, but is noted by
the driver with all its addresses and numbers. Whatever changes from step to step must therefore lie
in memory of the device that stays where it is:

    arguments                are copied into arrays of the graph's own
    the host's numbers       are sent before each launch (device_numbers.py)
    all that is computed     lies in a memory pool that nobody else takes from

A replay fills these, launches the graph and copies the results. When it holds is asked by the same
questions as of a plan (surroundings.py), and of the numbers in the arguments (questions.py).
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from tinygrad_mmb.autograd.storage import clock
from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.backend.arrays import on_device
from tinygrad_mmb.capture.alike import equal
from tinygrad_mmb.capture.device_numbers import Numbers
from tinygrad_mmb.capture.doors import opened
from tinygrad_mmb.capture.errors import CaptureError, UnsettledError
from tinygrad_mmb.capture.graph import mapped
from tinygrad_mmb.capture.literals import Call, Literals, noted
from tinygrad_mmb.capture.pause import collector_paused
from tinygrad_mmb.capture.questions import Answers, Question, answered
from tinygrad_mmb.capture.surroundings import Surroundings, outside, watched
from tinygrad_mmb.capture.trace import Leaf, arrays_of
from tinygrad_mmb.capture.witness import Witness, before, nobody


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

    `did`, `asked`: what the last call without recording did (literals.py) and what it asked of its
    arguments (questions.py).
    Raises: CaptureError, or what CUDA says, if it cannot be made; the step has then done nothing.
    """

    def __init__(
        self,
        step: Callable[..., Any],
        args: Any,
        kwargs: Any,
        did: list[Call],
        asked: list[Question],
    ) -> None:
        xp = sys.modules["cupy"]
        given, self.pool = (args, kwargs), xp.cuda.MemoryPool()
        named, objects = outside(step), watched(step, given)
        arrays = arrays_of(given)
        self.numbers = Numbers(xp)
        self.inputs: list[tuple[Tensor, Tensor]] = []  # as handed in, and the graph's own
        args, kwargs = mapped(given, self._argument)
        self.answers = Answers(asked, arrays)
        self.answers.places = arrays_of((args, kwargs))
        seen = Seen(self.numbers)
        stream = xp.cuda.Stream(non_blocking=True)
        try:
            with (
                noted(Literals(did)),
                answered(self.answers),
                collector_paused(),
                opened(seen),
                recorded(xp, stream, self.pool) as made,
            ):
                self.result = mapped(step(*args, **kwargs), self._leaf)
            self._require_no_feedback(seen)
            require_in_place(seen, named, objects)
        except BaseException:
            seen.undo()
            raise
        self.graph = made[0]
        self.places = [own.__dict__["array"] for _, own in self.inputs]
        self.indices = [next(k for k, a in enumerate(arrays) if a is t.__dict__["array"])
                        for t, _ in self.inputs]  # fmt: skip
        self.gradients = [(t, t._grad) for t, was in seen.grads.values() if t._grad is not was]
        own = {id(b) for _, b in self.inputs} | {id(g) for _, g in self.gradients}
        alive = [(t, version) for t, version in seen.alive() if id(t) not in own]
        self.written = [t.memory for t, version in alive if t.memory.version != version]
        tensors = [(t, t.__dict__["array"]) for t, _ in alive]
        grads = [(t, before(was) is not None) for t, was in seen.grads.values()]
        self.surroundings = Surroundings(step, given, objects, seen, tensors, grads, arrays)
        self.inputs.clear()
        self.answers.places.clear()
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

    def holds(self, given: Any, arrays: list[Any]) -> bool:
        """Whether a launch would do what the step does with these arguments."""
        return self.surroundings.hold(given, arrays) and self.answers.hold(arrays)

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


def require_in_place(seen: Seen, named: list[Any], objects: list[Any]) -> None:
    """Raise for a Tensor that the step made and put in the place of another: a launch would read
    the other one again, and make the same.
    """
    for optimizer, was in seen.optimizers.values():
        for p, kept in optimizer.state.items():
            held = was.get(p, {})
            if any(x is not held.get(name) for name, x in kept.items()):
                raise UnsettledError(
                    f"{type(optimizer).__name__} makes the state of a parameter of shape {p.shape} "
                    "anew: write into what it holds, state[name][...] ="
                )
    pairs = [(old, read()) for read, old in named]
    pairs += [(old, vars(x).get(name)) for x, was in objects for name, old in was.items()]
    pairs += [(old, vars(m).get(name)) for m, was in seen.modules.values()
              for name, old in was.items()]  # fmt: skip
    for old, new in pairs:
        if not equal(old, new) and (tensors_of(old) or tensors_of(new)):
            raise UnsettledError(
                f"a variable or attribute that held {kind(old)} holds {kind(new)} after the step: "
                "write into it in place, x.copy_(...)"
            )


def tensors_of(x: Any) -> list[Any]:
    """The Tensors in a value."""
    found: list[Any] = []
    mapped(x, lambda leaf: found.append(leaf) if isinstance(leaf, Tensor) else None)
    return found


def kind(x: Any) -> str:
    """A value in few words."""
    return f"a Tensor of shape {x.shape}" if isinstance(x, Tensor) else f"a {type(x).__name__}"


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


def release(graph: CudaGraph) -> None:
    """Let go of a graph; memory that no .grad holds goes back to the device."""
    pool = graph.pool
    vars(graph).clear()
    pool.free_all_blocks()
