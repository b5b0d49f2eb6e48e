"""What Python makes anew at each call is not frozen in a CUDA graph."""

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.capture.cuda_graph.training import Counting, host, on_device
from tinygrad_mmb import optim


@on_device
def test_a_counter_of_a_module_or_of_the_steps_object_is_its_own_affair():
    module = Counting()

    class Steps:
        count = 0

        def step(self, x):
            self.count = self.count + 1
            return module(x).sum()

    captured = tm.capture(Steps().step)
    found = [host(captured(tm.full((2,), float(k)))).item() for k in range(6)]
    assert found == [0.0, 4.0, 8.0, 12.0, 16.0, 20.0]
    assert captured.cache_info() == (4, 2, 0, 1, 0)
    module.scale = 3.0
    assert host(captured(tm.full((2,), 5.0))).item() == 30.0
    assert captured.cache_info().replays + captured.cache_info().traces == 7


@on_device
@pytest.mark.parametrize("name", ["factor", "slice", "branch", "fewer", "power"])
def test_a_number_that_python_makes_anew_is_not_frozen(name):
    """Each call does something else, by a number that no guard and no input knows."""
    counts, used = iter(range(1, 20)), []
    x = tm.arange(12, dtype=tm.float32).reshape(4, 3)

    def step(x):
        used.append(k := next(counts))
        if name == "factor":
            return (x * float(k)).sum()
        if name == "slice":
            return x[k % 4 : k % 4 + 1].sum()
        if name == "branch":
            return x.sum() if k % 2 else x.mean()
        if name == "fewer":
            return x.sum() if k % 2 else (x.sum() + 1.0)
        return tm.pow(x, k).sum()

    expected = {
        "factor": lambda k: 66.0 * k,
        "slice": lambda k: 9.0 * (k % 4) + 3.0,
        "branch": lambda k: 66.0 if k % 2 else 5.5,
        "fewer": lambda k: 66.0 if k % 2 else 67.0,
        "power": lambda k: sum(float(i) ** k for i in range(12)),
    }[name]
    captured = tm.capture(step)
    for _ in range(8):  # a recording that is given up has counted too: so `used`
        found = host(captured(x)).item()
        assert found == pytest.approx(expected(used[-1]), rel=1e-6)  # of sums in float32
    assert captured.cache_info() == (0, 5, 3, 0, 0)
    assert "UnsettledError" in captured.explain()
    assert "test_anew.py:" in captured.explain() or name == "fewer"


@on_device
def test_a_number_that_changes_once_is_learnt_anew():
    module = Counting()
    captured = tm.capture(lambda x: module(x).sum())
    x = tm.ones(2)
    for _ in range(4):
        captured(x)
    module.scale = 3.0
    assert [host(captured(x)).item() for _ in range(3)] == [6.0] * 3
    assert captured.cache_info() == (4, 3, 0, 2, 0)


class Momentum(optim.Optimizer):
    """m ← β m + g, bound anew in each step instead of written."""

    def __init__(self, params):
        super().__init__(params, {"lr": 0.1})

    def start(self, theta, group):
        return {"m": theta * 0.0}

    def update(self, theta, g, state, *, lr):
        state["m"] = 0.9 * state["m"] + g
        theta -= lr * state["m"]


@on_device
def test_a_state_that_is_bound_anew_in_every_step_is_refused():
    w = tm.ones(3, requires_grad=True)
    optimizer = Momentum([w])

    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    captured = tm.capture(step)
    for _ in range(8):
        captured(tm.ones(3))
    m, theta = 0.0, 1.0
    for _ in range(8):
        m = 0.9 * m + 1.0
        theta -= 0.1 * m
    np.testing.assert_allclose(host(w), np.full(3, theta), rtol=1e-5)  # eight sums in float32
    assert captured.cache_info() == (0, 5, 3, 0, 0)
    assert "Momentum makes the state of a parameter of shape (3,) anew" in captured.explain()


@on_device
@pytest.mark.parametrize("where", ["variable", "attribute", "module"])
def test_a_mean_that_is_bound_anew_in_every_step_is_refused(where):
    mean = tm.zeros(2)
    module = Counting()
    module.mean = tm.zeros(2)

    class Steps:
        mean = None

        def step(self, x):
            nonlocal mean
            y = module(x)
            if where == "variable":
                mean = 0.5 * mean + y
            elif where == "attribute":
                self.mean = 0.5 * self.mean + y
            else:
                module.mean = 0.5 * module.mean + y
            return y.sum()

    steps = Steps()
    steps.mean = tm.zeros(2)
    captured = tm.capture(steps.step)
    for _ in range(8):
        captured(tm.ones(2))
    assert captured.cache_info() == (0, 5, 3, 0, 0)
    assert "write into it in place" in captured.explain()
