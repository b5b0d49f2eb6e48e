"""What the host must know of the numbers in an argument before a step goes on: is each a class?

A CUDA graph cannot wait for the answer. So the questions of a call without recording are noted
(kernels/recorder.py), asked of the arguments before the step is recorded, which is given these
answers, and asked again before each launch: where one is another, the graph does not hold.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tinygrad_mmb.autograd.overlap import address
from tinygrad_mmb.capture.errors import CaptureError, UnsettledError
from tinygrad_mmb.kernels import recorder


@dataclass(frozen=True)
class Question:
    """ask(array, *args) of one of the arrays among the arguments of a step."""

    ask: Callable[..., Any]
    args: tuple[Any, ...]
    argument: int | None  # its place among them; None: the step has computed the array

    def answer(self, arrays: list[Any]) -> Any:
        """What the arguments of another call answer."""
        return None if self.argument is None else self.ask(arrays[self.argument], *self.args)


class Questions:
    """Notes what a call asks, and hands on the answers."""

    def __init__(self, arrays: list[Any]) -> None:
        self.arrays, self.found = arrays, list[Question]()
        self.thread = threading.get_ident()

    def answer(self, ask: Callable[..., Any], array: Any, args: tuple[Any, ...]) -> Any:
        """One question of the step."""
        if threading.get_ident() == self.thread:
            self.found.append(Question(ask, args, place(array, self.arrays)))
        return ask(array, *args)


class Answers:
    """Answers a step that is recorded, from its arguments, what the call before has asked."""

    def __init__(self, questions: list[Question], arrays: list[Any]) -> None:
        self.questions = questions
        self.values = [question.answer(arrays) for question in questions]
        self.places: list[Any] = []  # where the arrays among the arguments lie while it is recorded
        self.given = 0
        self.thread = threading.get_ident()

    def answer(self, ask: Callable[..., Any], array: Any, args: tuple[Any, ...]) -> Any:
        """One question of the step.

        Raises: CaptureError if it is about numbers that the step computes; UnsettledError if the
        call before asked something else here.
        """
        if threading.get_ident() != self.thread:
            return ask(array, *args)
        k, self.given = self.given, self.given + 1
        asked = Question(ask, args, place(array, self.places))
        if asked.argument is None:
            raise CaptureError(
                f"the host waits for numbers of shape {array.shape} that the step computes. Hand "
                "them in as an argument: those are looked at before the graph runs"
            )
        if k >= len(self.questions) or self.questions[k] != asked:
            raise UnsettledError(f"{ask.__name__} is asked, and was not in the call before")
        return self.values[k]

    def hold(self, arrays: list[Any]) -> bool:
        """Whether these arguments answer the same."""
        return [question.answer(arrays) for question in self.questions] == self.values


def place(array: Any, arrays: list[Any]) -> int | None:
    """Which of the arrays this is, or is all of in another shape."""
    for k, other in enumerate(arrays):
        if array is other:
            return k
        whole = array.size == other.size and array.dtype == other.dtype and array.size
        dense = array.flags.c_contiguous and other.flags.c_contiguous
        if whole and dense and address(array) == address(other):
            return k
    return None


@contextmanager
def answered(by: Questions | Answers) -> Iterator[None]:
    """Let `by` hear what the step asks."""
    before, recorder.questions = recorder.questions, by
    try:
        yield
    finally:
        recorder.questions = before
