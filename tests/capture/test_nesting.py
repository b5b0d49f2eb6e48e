"""A captured step inside another one, inside an op, and as a method of an object."""

from __future__ import annotations

from typing import Any

import pytest

import tinygrad_mmb as tm

pytestmark = pytest.mark.host_only("capture runs steps on the CPU")


def test_a_captured_step_inside_another_is_part_of_it():
    inner = tm.capture(lambda x: x * 2.0)
    outer = tm.capture(lambda x: inner(x).sum())
    for _ in range(4):
        assert float(outer(tm.ones(3)).array) == 6.0
    assert inner.cache_info().traces == 0
    assert outer.cache_info().replays == 2


def test_a_captured_step_inside_an_op_that_is_one_call_runs_as_it_is():
    inner = tm.capture(lambda x: x * 2.0)

    class Outer(tm.autograd.Function):
        @staticmethod
        def forward(x: Any) -> Any:
            y = inner(tm.Tensor(x.copy())).array
            y[x > 100] = 0  # makes one call of it
            return y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2.0

    step = tm.capture(lambda x: Outer.apply(x).sum())
    assert [float(step(tm.ones(3) * k).array) for k in range(6)] == [6.0 * k for k in range(6)]


def test_a_method_can_be_captured():
    class Counter:
        def __init__(self, scale: float) -> None:
            self.scale = tm.tensor(scale)

        @tm.capture
        def scaled(self, x: tm.Tensor) -> tm.Tensor:
            return (x * self.scale).sum()

    a, b = Counter(2.0), Counter(3.0)
    for _ in range(4):
        assert float(a.scaled(tm.ones(2)).array) == 4.0
        assert float(b.scaled(tm.ones(2)).array) == 6.0
    assert Counter.scaled.cache_info().plans == 2
    a.scale = tm.tensor(5.0)
    assert [float(a.scaled(tm.ones(2)).array) for _ in range(3)] == [10.0] * 3
