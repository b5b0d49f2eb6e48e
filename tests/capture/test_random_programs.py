"""Random steps: what a plan in C++ gives is what the step gives with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.capture.by_hand import NEEDS_CPP
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's habit

pytestmark = NEEDS_CPP

N = 5  # everything is (N, N), or becomes so again by broadcasting
ONE: dict[str, Any] = {
    "relu": F.relu,
    "tanh": tm.tanh,
    "exp": lambda a: tm.exp(-(a * a)),
    "turned": lambda a: a.T,
    "rows": lambda a: a - a.mean(dim=1, keepdim=True),
    "columns": lambda a: a * a.sum(dim=0).sigmoid(),
    "softmax": lambda a: tm.softmax(a, dim=1),
    "half": lambda a: tm.cat([a[:2], a[2:] * 0.5]),
    "normed": lambda a: F.layer_norm(a, (N,)),
    "largest": lambda a: a - a.amax(dim=1, keepdim=True),
    "flat": lambda a: a.reshape(-1).reshape(N, N),
}
TWO: dict[str, Any] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "product": lambda a, b: a @ b,
    "linear": lambda a, b: F.linear(a, b, b[0]),
    "gate": lambda a, b: tm.where(b > 0, a, 0.0),
    "maximum": tm.maximum,
    "loss": lambda a, b: a * F.cross_entropy(b, tm.tensor([1, 0, 4, 2, 2])),
}
Program = list[tuple[str, int, int]]


@st.composite
def programs(draw: Any) -> Program:
    """Instructions (operation, operand, operand): operands count back from the newest value."""
    names = st.sampled_from([*ONE, *TWO, "product", "linear", "relu", "add"])
    back = st.integers(1, 5)
    return draw(st.lists(st.tuples(names, back, back), min_size=2, max_size=14))


def run(program: Program, values: list[tm.Tensor]) -> tm.Tensor:
    """The loss: the mean of the last two values."""
    stack = list(values)
    for name, i, j in program:
        a, b = stack[-min(i, len(stack))], stack[-min(j, len(stack))]
        y = ONE[name](a) if name in ONE else TWO[name](a, b)
        stack.append(tm.tanh(y) if name in ("product", "linear", "mul") else y)
    return (stack[-1] * 1.5 + stack[-2]).mean()


def same_as_plain(program: Program, dtype: Any, tolerance: float) -> None:
    rng = np.random.default_rng(0)
    batches = [tm.tensor(rng.standard_normal((N, N)).astype(dtype)) for _ in range(6)]
    start = [rng.standard_normal((N, N)).astype(dtype) for _ in range(2)]

    def trained(captured: bool) -> list[np.ndarray]:
        weights = [tm.tensor(w.copy(), requires_grad=True) for w in start]
        optimizer = tm.optim.SGD(weights, lr=0.1, momentum=0.5)

        def step(x: tm.Tensor) -> tm.Tensor:
            optimizer.zero_grad()
            loss = run(program, [x, *weights])
            if loss.requires_grad:
                loss.backward()
            optimizer.step()
            return loss

        call = tm.capture(step) if captured else step
        found = [call(x).array.copy() for x in batches]
        return [*found, *(w.array.copy() for w in weights),
                *(w.grad.array.copy() for w in weights if w.grad is not None)]  # fmt: skip

    with tm.use_kernels("reference"):
        expected = trained(False)
    found = trained(True)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.fixture(autouse=True)
def kernels() -> None:
    """Those that stand in unasked."""


@given(program=programs())
def test_a_plan_in_cpp_does_what_the_step_does(program):
    same_as_plain(program, np.float64, 1e-9)


@pytest.mark.slow
@settings(max_examples=1500)
@given(program=programs(), dtype=st.sampled_from([(np.float64, 1e-9), (np.float32, 1e-3)]))
def test_a_plan_in_cpp_does_what_the_step_does_many_times(program, dtype):
    same_as_plain(program, *dtype)
