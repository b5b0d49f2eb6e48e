"""Numbers of Python that a step hands to its operations: a CUDA graph keeps them as they were.

So they are noted in the call before a step is recorded, and compared while it is: what Python
makes anew at each call is found, as two traces find it on the CPU (compare.py). Seen is what
enters an operation on Tensors beside them, x * k, x[k], dropout(x, p); not tm.full((2,), k), nor
what array code in an optimizer of one's own does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.capture.alike import PLAIN, exactly
from tinygrad_mmb.capture.errors import UnsettledError
from tinygrad_mmb.capture.graph import mapped
from tinygrad_mmb.capture.scalars import Scalar

Call = tuple[str, list[Any]]  # an operation and the numbers beside its Tensors

one_at_a_time = threading.RLock()  # Function.apply is that of the whole process


class Literals:
    """The operations of one call with their numbers; they must be those `expected`, if any are."""

    def __init__(self, expected: list[Call] | None = None) -> None:
        self.expected, self.found = expected, list[Call]()
        self.thread, self.inside = threading.get_ident(), 0

    def note(self, name: str, inputs: tuple[Any, ...]) -> None:
        """One operation.

        Raises: UnsettledError if the call before did something else here.
        """
        k, call = len(self.found), (name, numbers(inputs))
        self.found.append(call)
        if self.expected is None:
            return
        was = self.expected[k] if k < len(self.expected) else ("nothing", [])
        if was[0] != name or len(was[1]) != len(call[1]):
            raise UnsettledError(f"{name} where the call before did {was[0]}")
        for old, new in zip(was[1], call[1], strict=True):
            if not isinstance(new, Scalar) and exactly(old) != exactly(new):
                raise UnsettledError(
                    f"{name} is given {new!r}, and was given {old!r} in the call before: a graph "
                    "would keep the number. Pass it to the step as a Tensor"
                )

    def finish(self) -> None:
        """The step is over.

        Raises: UnsettledError if the call before did more.
        """
        if self.expected is not None and len(self.found) < len(self.expected):
            name = self.expected[len(self.found)][0]
            raise UnsettledError(f"nothing where the call before did {name}")


def numbers(inputs: Any) -> list[Any]:
    """What of the arguments is a number or text of Python."""
    found: list[Any] = []

    def look(x: Any) -> None:
        if isinstance(x, slice):
            mapped((x.start, x.stop, x.step), look)
        elif isinstance(x, (*PLAIN, np.generic, Scalar)):
            found.append(x)

    mapped(tuple(inputs), look)
    return found


@contextmanager
def noted(literals: Literals) -> Iterator[None]:
    """Let `literals` see the operations on Tensors that this thread asks for."""
    with one_at_a_time:
        was: Any = vars(Function)["apply"]

        def apply(cls: type[Function], *inputs: Any) -> Any:
            if literals.thread != threading.get_ident() or literals.inside:
                return was.__func__(cls, *inputs)
            if any(isinstance(x, Tensor) for x in inputs):
                literals.note(cls.__name__, inputs)
            literals.inside += 1
            try:
                return was.__func__(cls, *inputs)
            finally:
                literals.inside -= 1

        setattr(Function, "apply", classmethod(apply))  # noqa: B010 - mypy: it is a method
        try:
            yield
            literals.finish()
        finally:
            setattr(Function, "apply", was)  # noqa: B010
