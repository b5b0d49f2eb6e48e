"""The walk back: hooks, second passes, higher derivatives, deep graphs, what rules return."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.autograd.compiled.both_ways import in_both, outcome, same
from tinygrad_mmb.autograd import Function


def test_hooks_see_and_replace_gradients() -> None:
    def run() -> list[Any]:
        seen: list[Any] = []
        x = tm.tensor([1.0, -2.0, 3.0], requires_grad=True)
        y = x * x
        y.register_hook(lambda g: seen.append(g.numpy()) or g * 10)
        x.register_hook(lambda g: seen.append(g.numpy()))
        y.retain_grad()
        y.relu().sum().backward()
        return [*seen, x.grad.numpy(), y.grad.numpy()]

    for fast, slow in zip(*in_both(run), strict=True):
        same(fast, slow)


def test_a_second_backward_adds_and_a_gradient_is_never_shared() -> None:
    def run() -> list[Any]:
        x, y = tm.ones(3, requires_grad=True), tm.ones(3, requires_grad=True)
        for _ in range(2):
            (x + y).sum().backward()
        x.grad.array[0] = 7
        return [x.grad.numpy(), y.grad.numpy()]

    for fast, slow in zip(*in_both(run), strict=True):
        same(fast, slow)


def test_higher_derivatives_go_through_the_same_graph() -> None:
    def run() -> Any:
        x = tm.tensor([0.5, 2.0], requires_grad=True)
        (g,) = tm.autograd.grad((x * x * x).sum(), x, create_graph=True)
        g.sum().backward()
        return x.grad.numpy()

    same(*in_both(run))


def test_a_deep_graph_does_not_overflow() -> None:
    x = y = tm.ones(1, requires_grad=True)
    for _ in range(20_000):
        y = y + 1.0
    y.sum().backward()
    assert x.grad.item() == 1


def test_a_gradient_that_the_user_gives_takes_the_dtype_of_the_result() -> None:
    def run() -> Any:
        seen: list[Any] = []
        x = tm.ones(3, requires_grad=True)
        y = x * 2.0
        y.register_hook(lambda g: seen.append(str(g.dtype)))
        y.backward(tm.ones(3, dtype=tm.float64))
        return seen, str(x.grad.dtype), x.grad.tolist()

    assert in_both(run) == ((["float32"], "float32", [2, 2, 2]),) * 2


class Returning(Function):
    """Its backward returns whatever `what` makes of g."""

    @staticmethod
    def forward(x: Any, what: Any) -> Any:
        return x * 1.0

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.what = inputs[1]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return ctx.what(g)


class Own(np.ndarray):
    """A subclass."""


@pytest.mark.host_only("these rules use NumPy")
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
@pytest.mark.parametrize(
    ("what", "error"),
    [
        (lambda g: (2.0, None), "returned a gradient of type float, but should return an array"),
        (lambda g: ([2.0], None), "returned a gradient of type list"),
        (lambda g: (g, None, None), r"expected 2, got 3"),
        (lambda g: g, r"expected 2, got 1"),
        (lambda g: (g.astype(np.float64), None), None),
        (lambda g: (g.astype(">f4"), None), None),
        (lambda g: (np.ones((4, *g.shape)), None), None),
        (lambda g: ((g * 2).view(Own), None), None),
        (lambda g: (None, None), None),
        (lambda g: (np.broadcast_to(g, g.shape), 7), None),
    ],
)
def test_what_a_rule_returns_is_taken_or_refused_alike(what: Any, error: Any, shape: Any) -> None:
    def run() -> Any:
        x = tm.ones(shape, requires_grad=True)
        (Returning.apply(x, what) + x).sum().backward()
        return type(x.grad.array), str(x.grad.dtype), x.grad.shape, x.grad.tolist()

    fast, slow = in_both(lambda: outcome(run))
    assert fast == slow
    if error is None:
        assert fast[1:3] == ("float32", shape)
    else:
        assert issubclass(fast[0], (TypeError, RuntimeError))
        assert re.search(error, fast[1])


def test_a_gradient_of_a_shape_that_does_not_fit_is_refused_alike() -> None:
    def run() -> None:
        Returning.apply(tm.ones(3, requires_grad=True), lambda g: (g[:2], None)).sum().backward()

    fast, slow = in_both(lambda: outcome(run))
    assert fast == slow
    assert fast[0] is RuntimeError
    assert "ReturningBackward0 returned an invalid gradient: got shape (2,), but" in fast[1]


class Turned(Function):
    """Two results in columns."""

    broadcasts = True

    @staticmethod
    def forward(x: Any) -> Any:
        return (x * 1.0).T, (x * 2.0).T

    @staticmethod
    def backward(ctx: Any, g: Any, h: Any) -> Any:
        return g.T + 2 * h.T


def test_all_outputs_of_an_op_that_broadcasts_come_back() -> None:
    def run() -> Any:
        x = tm.ones(2, 3, requires_grad=True)
        y, z = Turned.apply(x)
        (y.sum() + z.sum()).backward()
        return y.shape, y.stride(), z.stride(), x.grad.tolist()

    fast, slow = in_both(run)
    assert fast == slow
    assert fast[3] == [[3.0] * 3] * 2
