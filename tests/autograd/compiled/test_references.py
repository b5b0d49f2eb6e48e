"""Twins leave no objects and no references behind, whether a call succeeds or not."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.autograd.compiled.both_ways import outcome
from tinygrad_mmb.autograd import Function


def test_a_step_leaves_no_objects_and_no_references_behind() -> None:
    x, w = tm.ones(4, 4, requires_grad=True), tm.ones(4, 4, requires_grad=True)

    def step() -> None:
        x.grad = w.grad = None
        ((x * w + x).relu() - w).sum().backward()

    step()
    gc.collect()
    gc.disable()
    try:
        counts = [sys.getrefcount(o) for o in (x.array, x, np.dtype("float32"))]
        objects = len(gc.get_objects())
        for _ in range(50):
            step()
        assert len(gc.get_objects()) - objects < 20  # nothing waits for the collector
        after = [sys.getrefcount(o) for o in (x.array, x, np.dtype("float32"))]
        assert all(b - a < 20 for a, b in zip(counts, after, strict=True))
    finally:
        gc.enable()


class Rule(Function):
    """As many outputs as asked for; a rule of the caller's, there and back."""

    @staticmethod
    def forward(x: Any, outputs: int, keep: Any, back: Any) -> Any:
        return tuple(x * 1.0 for _ in range(outputs))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0], output[0])
        ctx.back = inputs[3]
        inputs[2]()

    @staticmethod
    def backward(ctx: Any, *gs: Any) -> Any:
        x, _ = ctx.saved_tensors
        return ctx.back(gs[0] + x), None, None, None


def nothing() -> None:
    """What setup_context does besides."""


def fails() -> None:
    raise ValueError("a student's")


def rule(x: Any, outputs: int = 1, keep: Any = nothing, back: Any = lambda g: g) -> None:
    ys = Rule.apply(x, outputs, keep, back)
    ys[0].sum().backward()


def written_over(x: Any) -> None:
    y = x * x
    z = (y * y).relu().sum()
    y.add_(1.0)
    z.backward()


def trained(x: Any) -> None:
    x.grad = tm.ones_like(x)
    OPTIMIZERS[x].step()
    OPTIMIZERS[x].zero_grad()


def hooked(x: Any) -> None:
    y = x * 2.0
    y.register_hook(lambda g: g * 2)
    (y * y + y).sum().backward()


def layer(x: Any) -> None:
    loss = tm.nn.functional.cross_entropy(LINEAR(x), CLASSES)
    loss.backward()
    LINEAR.zero_grad()


OPTIMIZERS: dict[Any, Any] = {}
LINEAR = tm.nn.Linear(3, 2)
CLASSES = tm.tensor([0, 1])

WORK: dict[str, Callable[[Any], Any]] = {
    "a step": lambda x: ((x * x - x).relu() + 2.5).sum().backward(),
    "a sum over broadcast rows": lambda x: (x + tm.ones(5, 2, 3)).sum().backward(),
    "another dtype": lambda x: (x.double() * 2.0).sum().backward(),
    "a layer": layer,
    "a hook": hooked,
    "an optimizer": trained,
    "a view": lambda x: (x[0] * x.t()[0, 0]).sum().backward(),
    "bare arrays": lambda x: tm.nn.functional.relu(x.array * x.array),
    "one output": rule,
    "many outputs": lambda x: rule(x, 20),
    "twice the graph": lambda x: [(x * x).sum().backward(retain_graph=k) for k in (True, False)],
    # errors
    "no broadcasting": lambda x: x + tm.ones(5),
    "no number": lambda x: x * "2",
    "no gradient": lambda x: x.detach().sum().backward(),
    "no fitting layer": lambda x: tm.nn.functional.linear(x, tm.ones(2, 4)),
    "no such class": lambda x: tm.nn.functional.cross_entropy(x, CLASSES + 7),
    "written over": written_over,
    "setup_context raises": lambda x: rule(x, keep=fails),
    "a gradient of another shape": lambda x: rule(x, back=lambda g: g[:1, :2]),
    "a gradient that is a number": lambda x: rule(x, back=lambda g: 2.0),
    "too many gradients": lambda x: rule(x, back=lambda g: (g, g)),
    "a rule that raises": lambda x: rule(x, back=lambda g: fails()),
    "no second time": lambda x: [y.backward() for y in [(x * x).sum()] for _ in range(2)],
}


@pytest.mark.parametrize("n", [500, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", WORK)
def test_many_calls_leave_no_memory_behind(name: str, n: int) -> None:
    x = tm.ones(2, 3, requires_grad=True)
    OPTIMIZERS[x] = tm.optim.Adam([x])

    def calls(n: int) -> None:
        for _ in range(n):
            outcome(lambda: WORK[name](x))
        x.grad = None

    def held() -> list[int]:
        gc.collect()
        watched = (x, x.array, np.dtype("float32"), Rule, tm.Tensor, type(None), None, True, False)
        return [sys.getallocatedblocks(), *(sys.getrefcount(o) for o in watched)]

    calls(50)  # what is made once
    before = held()
    calls(n)
    del OPTIMIZERS[x]
    grown = [after - b for after, b in zip(held(), before, strict=True)]
    assert max(map(abs, grown)) < n / 10, grown  # neither kept nor let go too often
