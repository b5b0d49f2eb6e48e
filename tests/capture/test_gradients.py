"""Gradients of before: .grad lies in the memory of a plan, and a step may still read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb.capture import CaptureError

pytestmark = pytest.mark.host_only("capture runs steps on the CPU")


def gradients_of(wrap: Callable[[Any], Any], decay: float, read_first: bool) -> list[np.ndarray]:
    """Of a step that adds a part of the last gradients to the new ones; one of each array."""
    tm.manual_seed(0)
    parameters = [tm.randn(n, requires_grad=True) for n in (3, 40, 3)]

    def step(x: tm.Tensor) -> tm.Tensor:
        before = [p.grad * 1.0 if read_first else p.grad for p in parameters]
        for p in parameters:
            p.grad = None
        loss = sum([(p * p * x).sum() for p in parameters])
        loss.backward()
        for p, g in zip(parameters, before, strict=True):
            p.grad.add_(g, alpha=decay)
        return loss

    call, found = wrap(step), []
    for p in parameters:
        p.grad = tm.zeros(*p.shape)
    for k in range(6):
        call(tm.tensor(float(k)))
        found.append(np.concatenate([p.grad.array for p in parameters]))
    return found


@pytest.mark.parametrize("read_first", [False, True])
def test_the_gradient_of_before_is_read_after_a_new_one_took_its_name(read_first):
    plain, replayed = (gradients_of(w, 0.5, read_first) for w in (lambda f: f, tm.capture))
    np.testing.assert_array_equal(plain, replayed)


def gradient_step() -> tuple[tm.Tensor, Callable[..., Any]]:
    p = tm.ones(3, requires_grad=True)

    def step(x: tm.Tensor, g: tm.Tensor) -> tm.Tensor:
        p.grad = None
        loss = (p * x + g).sum()
        loss.backward()
        return loss

    return p, step


def test_a_gradient_may_be_handed_to_the_next_call():
    found = []
    for wrap in (lambda f: f, tm.capture):
        p, step = gradient_step()
        call = wrap(step)
        p.grad = tm.zeros(3)
        found.append([float(call(tm.tensor([1.0, 2.0, 3.0]) * k, p.grad).array) for k in range(6)])
    assert found[0] == found[1] == [0.0, 6.0, 18.0, 30.0, 42.0, 54.0]


def test_a_gradient_handed_in_and_written_to_is_refused():
    p = tm.ones(3, requires_grad=True)

    @tm.capture
    def step(g: tm.Tensor) -> tm.Tensor:
        loss = (p * g).sum()
        p.grad = None
        loss.backward()
        g.mul_(2.0)
        return loss

    for _ in range(4):
        step(tm.ones(3))
    before = p.grad.array.copy()
    with pytest.raises(CaptureError, match=r"a \.grad that an earlier call.*x\.clone"):
        step(p.grad)
    np.testing.assert_array_equal(p.grad.array, before)
    assert float(step(p.grad.clone()).array) == 3.0
