"""Where a traced step is seen: what hands out recordings while one thread traces.

Tensors hold NumPy arrays, before, during and after. While a step is traced, reading Tensor.array
gives the recording of that array, and storing a recording stores its array: nothing has to be
taken out again afterwards, not even after an exception. The other doors stand in
kernels/recorder.py (references, numbers of the host); twins are seen where their Kernel is asked to
run. All of it is for one thread; the others read on as ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.capture.compiler import is_looked_into
from tinygrad_mmb.capture.graph import mapped
from tinygrad_mmb.capture.recording import true
from tinygrad_mmb.capture.witness import Witness
from tinygrad_mmb.kernels import recorder
from tinygrad_mmb.kernels.registry import Kernel
from tinygrad_mmb.nn.hooks import ForwardHooks
from tinygrad_mmb.optim.lr_scheduler import LRScheduler
from tinygrad_mmb.optim.optimizer import Optimizer

one_at_a_time = threading.Lock()  # the doors are those of the whole process


@contextmanager
def opened(witness: Witness) -> Iterator[None]:
    """Let the tracer of `witness` see what this thread computes."""
    with one_at_a_time:
        before = [(cls, name, vars(cls).get(name, ...)) for cls, name, _ in DOORS]
        for cls, name, door in DOORS:
            setattr(cls, name, door(witness, vars(cls).get(name, ...)))
        recorder.active = witness.tracer
        try:
            yield
        finally:
            recorder.active = None
            witness.tracer.done = True
            for cls, name, was in before:
                if was is ...:
                    delattr(cls, name)
                else:
                    setattr(cls, name, was)


def array_door(witness: Witness, was: Any) -> property:
    """Tensor.array."""
    tracer = witness.tracer

    def read(t: Tensor) -> Any:
        array = t.__dict__["array"]
        return witness.saw(t, array) if tracer.listens else array

    def store(t: Tensor, array: Any) -> None:
        t.__dict__["array"] = true(array)

    return property(read, store)


def grad_door(witness: Witness, was: Any) -> property:
    """Tensor.grad: what it was before the step touched it decides what the step does."""

    def read(t: Tensor) -> Any:
        witness.met(t)
        return was.fget(t)

    def store(t: Tensor, value: Any) -> None:
        witness.met(t)
        was.fset(t, value)

    return property(read, store)


def run_door(witness: Witness, was: Any) -> property:
    """Kernel.run: the twin, recorded as one call."""
    tracer = witness.tracer

    def read(kernel: Kernel) -> Any:
        run = kernel.__dict__["run"]
        return partial(tracer.twin, kernel.key, run) if tracer.listens else run

    return property(read, lambda kernel, run: kernel.__dict__.__setitem__("run", run))


def offer_door(witness: Witness, was: Any) -> Callable[..., bool]:
    """Kernel.offer: twins judge the true arrays; those whose ops are looked into decline."""

    def offer(kernel: Kernel, args: Any, options: Any, strict: bool) -> bool:
        tracer = witness.tracer
        if tracer.listens and (is_looked_into(kernel) or tracer.declines(args, options)):
            return False
        taken: bool = was(kernel, mapped(tuple(args), true), mapped(options, true), strict)
        return taken

    return offer


class Noting:
    """A method before whose call the witness looks at its object.

    Asked of the class it is the method itself: Sequential compares it to see whether it is as
    written.
    """

    def __init__(self, witness: Witness, was: Any, look: Callable[[Any], None]) -> None:
        self.witness, self.was, self.look = witness, was, look

    def __get__(self, x: Any, kind: type) -> Any:
        if x is not None and self.witness.tracer.listens:
            self.look(x)
        return self.was.__get__(x, kind)


def noting(note: str) -> Callable[[Witness, Any], Noting]:
    """The door of such a method; `note` is the method of the witness."""
    return lambda witness, was: Noting(witness, was, getattr(witness, note))


def schedule_door(witness: Witness, was: Any) -> Callable[..., Any]:
    """LRScheduler.step: work of the host, done again at each replay."""
    tracer = witness.tracer

    def step(self: LRScheduler, *args: Any, **options: Any) -> None:
        if not tracer.listens:
            was(self, *args, **options)
            return
        witness.scheduled(self)
        tracer.host(advance, (self, args, tuple(options.items())))

    return step


def advance(schedule: LRScheduler, args: tuple[Any, ...], options: tuple[Any, ...]) -> None:
    """One step of a schedule."""
    LRScheduler.step(schedule, *args, **dict(options))


def numpy_door(witness: Witness, was: Any) -> Callable[..., Any]:
    """Tensor.numpy: it gives the numbers to the host."""

    def numpy(self: Tensor, *args: Any, **options: Any) -> Any:
        return np.asarray(self.array) if witness.tracer.listens else was(self, *args, **options)

    return numpy


DOORS: tuple[tuple[Any, str, Any], ...] = (
    (Tensor, "array", array_door),
    (Tensor, "grad", grad_door),
    (Tensor, "numpy", numpy_door),
    (Kernel, "run", run_door),
    (Kernel, "offer", offer_door),
    (ForwardHooks, "__call__", noting("called")),
    (Optimizer, "step", noting("stepped")),
    (Optimizer, "zero_grad", noting("stepped")),
    (LRScheduler, "step", schedule_door),
)
