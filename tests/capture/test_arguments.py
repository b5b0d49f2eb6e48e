"""What a captured step is given and hands out: copied, written and shared as without capture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.capture.steps import training
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's habit

pytestmark = pytest.mark.host_only("capture runs steps on the CPU")


def test_results_are_new_each_time_and_python_runs_while_tracing_only():
    made, calls = training(), []
    plain = made.step

    @tm.capture
    def step(x: tm.Tensor, y: tm.Tensor) -> dict[str, Any]:
        calls.append(1)
        loss = plain(x, y)
        return {"loss": loss, "twice": (loss * 2, loss.array), "name": "w"}

    kept = [step(*made.batches[0]) for _ in range(6)]
    losses = [float(r["loss"].array) for r in kept]
    assert len(set(losses)) == 6  # no result was written over by a later one
    assert [float(r["twice"][0].array) for r in kept] == [2 * v for v in losses]
    assert [float(r["twice"][1]) for r in kept] == losses
    assert kept[5]["name"] == "w"
    assert not kept[5]["loss"].requires_grad
    assert len(calls) == 2


def test_an_argument_written_in_place_is_found_changed_by_the_caller():
    @tm.capture
    def double(x: tm.Tensor) -> tm.Tensor:
        x.mul_(2.0)
        return x.sum()

    for _ in range(4):
        x = tm.ones(3)
        assert float(double(x).array) == 6.0
        np.testing.assert_array_equal(x.array, [2.0, 2.0, 2.0])


def test_a_parameter_handed_in_as_an_argument_is_not_copied():
    w = tm.ones(3)

    @tm.capture
    def step(a: tm.Tensor) -> tm.Tensor:
        w.add_(1.0)
        return (a + w).sum()

    found = [float(step(w).array) for _ in range(5)]
    assert found == [12.0, 18.0, 24.0, 30.0, 36.0]
    assert float(step(tm.zeros(3)).array) == 21.0


def test_views_see_what_is_written_through_each_other():
    state = tm.zeros(2, 3)

    def step(x: tm.Tensor) -> tm.Tensor:
        row = state[1]
        before = row.clone()
        state.add_(x)
        row.mul_(2.0)
        state[:, 0] = before[0]
        return (state * row).sum()

    xs = [tm.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]) * (k + 1) for k in range(6)]
    expected = [float(step(x).array) for x in xs]
    final = state.array.copy()
    state.zero_()
    captured = tm.capture(step)
    assert [float(captured(x).array) for x in xs] == expected
    np.testing.assert_array_equal(state.array, final)


def test_a_graph_made_before_a_replay_notices_that_the_parameters_changed():
    made = training()
    step = tm.capture(made.step)
    made.run(3, step)
    loss = F.cross_entropy(made.model(made.batches[0][0]), made.batches[0][1])
    made.run(1, step)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_one_tensor_given_twice_and_two_tensors_are_two_plans():
    dot = tm.capture(lambda a, b: (a * b).sum())
    x, y = tm.tensor([1.0, 2.0]), tm.tensor([10.0, 20.0])
    for _ in range(3):
        assert float(dot(x, x).array) == 5.0
    for _ in range(3):
        assert float(dot(x, y).array) == 50.0
    assert float(dot(y, y).array) == 500.0
