"""The table of twins, with twins made for the test."""

from __future__ import annotations

import contextvars
import threading

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.registry import WithExtras, kernel, use_kernels


@pytest.fixture
def table(monkeypatch):
    """An empty table for one test."""
    monkeypatch.setattr(registry, "_table", {})
    return registry


def variable(*shape, dtype=tm.float64):
    values = np.random.default_rng(0).standard_normal(shape)
    return tm.tensor(values, dtype=dtype, requires_grad=True)


def test_a_twin_runs_instead_of_the_reference_and_is_counted(table):
    @kernel("Exp", backend="fake", accepts=lambda x: x.ndim == 2)
    def exp(x):
        return np.full_like(x, 7.0)

    (twin,) = registry.twins("Exp")
    assert tm.exp(tm.zeros(1, 1)).item() == 7.0
    assert tm.exp(tm.zeros(1)).item() == 1.0
    assert (twin.calls, twin.declines) == (1, 1)


def test_use_kernels_pins_a_backend_and_the_reference(table):
    kernel("Exp", backend="a")(lambda x: np.full_like(x, 1.0))
    kernel("Exp", backend="b")(lambda x: np.full_like(x, 2.0))
    x = tm.zeros(1) + 3.0
    seen = []
    for backend in ("a", "b", "reference"):
        with use_kernels(backend):
            seen.append(tm.exp(x).item())
    assert seen[:2] == [1.0, 2.0] and seen[2] == pytest.approx(np.exp(3.0))


def test_strict_raises_where_a_twin_declines(table):
    kernel("Exp", backend="a", accepts=lambda x: False)(lambda x: x)
    with (
        use_kernels("a", strict=True),
        pytest.raises(RuntimeError, match=r"the a twin of Exp declined \(float32 \(2,\)\)"),
    ):
        tm.exp(tm.zeros(2))


def test_an_unknown_backend_is_refused(table):
    with (
        pytest.raises(ValueError, match="no such kernels here, only: auto, reference"),
        use_kernels("x"),
    ):
        pass


def test_a_second_twin_of_one_backend_is_refused(table):
    kernel("Exp", backend="a")(lambda x: x)
    with pytest.raises(ValueError, match="a has a twin of Exp already"):
        kernel("Exp", backend="a")(lambda x: x)


def test_backward_runs_on_the_backend_that_ran_forward_with_its_extras(table):
    @kernel("Tanh", backend="a")
    def tanh(x):
        return WithExtras(np.tanh(x), "left by forward")

    @kernel("Tanh.backward", backend="a")
    def tanh_backward(g, y, extras, needs_input_grad):
        assert extras == "left by forward" and needs_input_grad == [True]
        return np.full_like(g, 5.0)

    @kernel("Tanh.backward", backend="b")
    def other(g, y, needs_input_grad):
        raise AssertionError("not the backend that ran forward")

    x = variable(3)
    tm.tanh(x).sum().backward()
    assert x.grad.tolist() == [5.0] * 3


def test_higher_derivatives_ignore_twins_and_extras(table):
    kernel("Tanh", backend="a")(lambda x: WithExtras(np.tanh(x), "extras"))
    kernel("Tanh.backward", backend="a")(lambda g, y, extras, **_: np.full_like(g, 5.0))
    x = variable(3)
    (g,) = tm.autograd.grad(tm.tanh(x).sum(), x, create_graph=True)
    np.testing.assert_allclose(g.detach().numpy(), 1 - np.tanh(x.detach().numpy()) ** 2)


def test_a_thread_takes_the_pin_handed_to_it_and_all_calls_are_counted(table):
    kernel("Exp", backend="a")(lambda x: x * 0.0)
    (twin,) = registry.twins("Exp")
    results = []
    with use_kernels("a"):
        threads = [
            threading.Thread(
                target=contextvars.copy_context().run,
                args=(lambda: results.append(tm.exp(tm.ones(1)).item()),),
            )
            for _ in range(8)
        ]
        [t.start() for t in threads]
        [t.join() for t in threads]
    assert results == [0.0] * 8 and twin.calls == 8


def test_the_twins_of_a_backend_are_listed_with_their_calls(table):
    kernel("Exp", backend="a")(lambda x: x)
    kernel("Log", backend="a")(lambda x: x)
    tm.exp(tm.ones(1))
    assert [(t.key, t.calls) for t in registry.twins_on("a")] == [("Exp", 1), ("Log", 0)]
    assert registry.twins_on("b") == [] and registry.backends() == ("a",)
