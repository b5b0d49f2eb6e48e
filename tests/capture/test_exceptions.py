"""An exception while tracing or inside a replay comes through, and the next call is right."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.capture.fragile import Fragile, broken

pytestmark = pytest.mark.host_only("capture runs steps on the CPU")


def test_after_an_exception_inside_a_replay_the_next_one_is_right():
    x = tm.ones(4, requires_grad=True)

    @tm.capture
    def step() -> tm.Tensor:
        x.grad = None
        loss = (Fragile.apply(x * 3.0) * 2.0).sum()
        loss.backward()
        return loss

    assert [float(step().array) for _ in range(3)] == [24.0] * 3
    with broken(), pytest.raises(ZeroDivisionError, match="broken on purpose"):
        step()
    assert float(step().array) == 24.0
    np.testing.assert_array_equal(x.grad.array, [6.0] * 4)


def test_an_exception_of_the_step_while_tracing_comes_through_and_leaves_no_door_open():
    @tm.capture
    def raising(x: tm.Tensor) -> tm.Tensor:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        raising(tm.ones(3))
    assert "array" not in vars(tm.Tensor)
    assert type(tm.ones(3).array) is np.ndarray
