"""What no CUDA graph can repeat runs as it is, and says why."""

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.capture.cuda_graph.training import Training, batches, host, on_device
from tinygrad_mmb.nn import functional


@on_device
@pytest.mark.parametrize("name", ["item", "classes", "accumulates", "writes", "draws", "cpu"])
def test_what_no_graph_can_repeat_runs_as_it_is_and_says_why(name):
    w = tm.ones(3, requires_grad=True)
    seen = []

    def step(x):
        if name == "item":
            seen.append(x.sum().item())
        elif name == "classes":
            functional.cross_entropy(x, tm.zeros(2, dtype=tm.int64))
        elif name == "accumulates":
            (w * x).sum().backward()
        elif name == "writes":
            x.add_(1.0)
        elif name == "draws":
            x = x + tm.randn(2, 3)
        elif name == "cpu":
            x = x * tm.tensor(2.0, device="cpu")
        return (x * 2.0).sum()

    captured = tm.capture(step)
    for k in range(4):
        captured(tm.full((2, 3), float(k)))
    assert captured.cache_info() == (0, 2, 2, 0, 0)
    assert "no CUDA graph, " in captured.explain()
    if name == "item":
        assert seen[-2:] == [12.0, 18.0]
        assert "test_refused.py:" in captured.explain()
    if name == "accumulates":
        np.testing.assert_array_equal(host(w.grad), np.full(3, 2.0 * (0 + 1 + 2 + 3)))


@on_device
def test_a_gradient_that_was_not_there_when_it_was_recorded_is_added_to():
    w = tm.ones(3, requires_grad=True)

    def step(x):
        (w * x).sum().backward()

    captured = tm.capture(step)
    for k in range(4):  # zero_grad() outside, as some write it
        w.grad = None
        captured(tm.full((2, 3), float(k)))
    assert captured.cache_info() == (2, 2, 0, 1, 0)
    captured(tm.full((2, 3), 10.0))
    np.testing.assert_array_equal(host(w.grad), np.full(3, 2.0 * (3 + 10)))
    w.grad = None
    captured(tm.full((2, 3), 5.0))
    np.testing.assert_array_equal(host(w.grad), np.full(3, 2.0 * 5))


@on_device
def test_a_refused_step_has_counted_and_drawn_once():
    plain = Training()

    def reading(run):
        return lambda x, t: run(x, t).item()

    data = batches(5)
    expected = [reading(plain.step)(x, t) for x, t in data]
    training = Training()
    captured = tm.capture(reading(training.step))
    np.testing.assert_array_equal([captured(x, t) for x, t in data], expected)
    assert captured.cache_info().eager == 3
    steps = [s["step"].item() for s in training.optimizer.state.values()]
    assert steps == [5.0] * len(steps)
    assert training.optimizer.param_groups[0]["lr"] == plain.optimizer.param_groups[0]["lr"]
