"""A step of an optimizer gathers, counts and notes as in Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.autograd.compiled.both_ways import in_both, outcome, same


def adam(dtype: Any, **options: Any) -> Any:
    parameters = [tm.ones(shape, dtype=dtype, requires_grad=True) for shape in ((3,), (2, 5), ())]
    return parameters, tm.optim.Adam(parameters, **options)


@pytest.mark.parametrize("dtype", [tm.float32, tm.float64])
def test_an_optimizer_gathers_and_counts_alike(dtype: Any) -> None:
    def run() -> list[Any]:
        parameters, optimizer = adam(dtype, lr=0.1)
        for k in range(3):
            for p in parameters[k % 2 :]:  # so that their steps differ
                p.grad = tm.full_like(p, 0.5 + k)
            optimizer.step()
            optimizer.zero_grad()
        states = [optimizer.state[p] for p in parameters]
        return [s[name].numpy() for s in states for name in ("step", "exp_avg", "exp_avg_sq")]

    for fast, slow in zip(*in_both(run), strict=True):
        same(fast, slow)


def test_a_step_is_a_write_that_saved_values_notice() -> None:
    parameters, optimizer = adam(tm.float32)
    y = (parameters[0] * parameters[0]).sum()
    for p in parameters:
        p.grad = tm.ones_like(p)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_states_that_a_student_replaces_are_kept() -> None:
    class Replacing(tm.optim.Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {"lr": 1.0})

        def update(self, theta: Any, g: Any, state: Any, *, lr: float) -> None:
            state["seen"] = state.get("seen", 0.0) + g
            theta -= lr * state["seen"]

    def run() -> list[Any]:
        x = tm.ones(2, requires_grad=True)
        optimizer = Replacing([x])
        for _ in range(3):
            x.grad = tm.ones(2)
            optimizer.step()
        return [x.detach().numpy(), optimizer.state[x]["seen"].numpy()]

    for fast, slow in zip(*in_both(run), strict=True):
        same(fast, slow)


@pytest.mark.host_only("NumPy shares memory with the CPU only")
def test_parameters_that_overlap_are_left_to_the_reference() -> None:
    memory = np.ones(5, np.float32)
    a, b = (tm.Tensor(memory[k : k + 3]).requires_grad_() for k in (0, 2))
    optimizer = tm.optim.Adam([a, b], lr=0.5)
    a.grad, b.grad = tm.ones(3), tm.ones(3)
    optimizer.step()
    np.testing.assert_allclose(memory, [0.5, 0.5, 0.0, 0.5, 0.5], atol=1e-6)


def test_an_optimizer_moves_only_what_has_a_gradient() -> None:
    def run() -> list[Any]:
        parameters, optimizer = adam(tm.float64, lr=0.1)
        parameters[0].grad = tm.ones_like(parameters[0])
        optimizer.step()
        optimizer.zero_grad()
        assert parameters[0].grad is None
        return [p.detach().numpy() for p in parameters]

    for fast, slow in zip(*in_both(run), strict=True):
        same(fast, slow)


@pytest.mark.parametrize("key", [7, None, ("a", "b")])
def test_a_state_may_have_keys_that_are_no_names(key: Any) -> None:
    def run() -> list[Any]:
        parameters, optimizer = adam(tm.float64, lr=0.1)
        for _ in range(3):
            for p in parameters:
                p.grad = tm.ones_like(p)
            optimizer.step()
            optimizer.state[parameters[0]][key] = "a note"
        return [optimizer.state[parameters[0]][key], *(p.tolist() for p in parameters)]

    fast, slow = in_both(lambda: outcome(run))
    assert fast == slow
    assert fast[0] == "a note"
