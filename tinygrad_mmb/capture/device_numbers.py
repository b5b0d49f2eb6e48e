"""The numbers of the host that a CUDA graph reads: they lie on the device and are sent anew.

lr, t, betas, ...     are elements of one array, and their formulas are the host's (scalars.py)
masks of dropout      are drawn by the host and copied, one array each
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_mmb.backend import namespace
from tinygrad_mmb.backend.arrays import on_device
from tinygrad_mmb.capture.errors import CaptureError
from tinygrad_mmb.capture.graph import mapped
from tinygrad_mmb.capture.replay import compiled
from tinygrad_mmb.capture.scalars import Scalar, symbols

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
        return symbols(Number, self, read, args, value)

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
        self.uploads.append((namespace(x).empty(like.shape, like.dtype), make, slots))
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
