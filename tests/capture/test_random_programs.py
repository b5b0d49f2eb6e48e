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
from tinygrad_mmb.ops.convolution import conv2d_relu

pytestmark = NEEDS_CPP

N = 5  # matrices are (N, N), or become so again by broadcasting
SHAPE = (2, 3, 6, 5)  # of images
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
IMAGES: dict[str, Any] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "tanh": tm.tanh,
    "largest": lambda a: F.max_pool2d(a, 3, stride=1, padding=1),
    "mean": lambda a: F.avg_pool2d(a, 3, stride=1, padding=1),
    "normed": lambda a: F.batch_norm(a, None, None, training=True),
    "softmax": lambda a: tm.softmax(a, dim=1),
    "turned": lambda a: a.flip(3),
    "halved": lambda a: F.max_pool2d(a, (2, 1)).repeat(1, 1, 2, 1),
}
FILTERS: dict[str, Any] = {
    "conv": lambda a, w: F.conv2d(a, w, padding=1),
    "conv relu": lambda a, w: F.relu(F.conv2d(a, w, w[0, 0, 0], padding=1)),
    "joined": lambda a, w: conv2d_relu(a, w, None, padding=1),
    "conv and pool": lambda a, w: F.max_pool2d(F.relu(F.conv2d(a, w, padding=1)), 3, 1, 1),
    "groups": lambda a, w: F.conv2d(a, w[:, :1], groups=3, padding=1),
}
BOTH: dict[str, Any] = {"add": lambda a, b: a + b, "mul": lambda a, b: a * b, "maximum": tm.maximum}
Program = list[tuple[str, int, int]]


def programs(names: list[str]) -> st.SearchStrategy[Program]:
    """Instructions (operation, operand, operand): operands count back from the newest value."""
    back = st.integers(1, 5)
    return st.lists(st.tuples(st.sampled_from(names), back, back), min_size=2, max_size=14)


MATRICES = programs([*ONE, *TWO, "product", "linear", "relu", "add"])
PICTURES = programs([*IMAGES, *FILTERS, *BOTH, "conv", "joined", "conv and pool"])


def matrices(program: Program, x: tm.Tensor, weights: list[tm.Tensor]) -> list[tm.Tensor]:
    """All values, the weights among them."""
    stack = [x, *weights]
    for name, i, j in program:
        a, b = stack[-min(i, len(stack))], stack[-min(j, len(stack))]
        y = ONE[name](a) if name in ONE else TWO[name](a, b)
        stack.append(tm.tanh(y) if name in ("product", "linear", "mul") else y)
    return stack


def pictures(program: Program, x: tm.Tensor, weights: list[tm.Tensor]) -> list[tm.Tensor]:
    """All images; the weights are filters."""
    stack = [x, x * 0.5]
    for name, i, j in program:
        a, b = stack[-min(i, len(stack))], stack[-min(j, len(stack))]
        if name in FILTERS:
            y = FILTERS[name](a, weights[j % 2])
        else:
            y = IMAGES[name](a) if name in IMAGES else BOTH[name](a, b)
        stack.append(tm.tanh(y) if name in ("conv", "groups", "mul") else y)
    return stack


def same_as_plain(
    run: Any, program: Program, x: tuple[int, ...], w: tuple[int, ...], dtype: Any, tolerance: float
) -> None:
    """Six steps with x and two weights of these shapes; the loss is made of the last two values."""
    rng = np.random.default_rng(0)
    batches = [tm.tensor(rng.standard_normal(x).astype(dtype)) for _ in range(6)]
    start = [rng.standard_normal(w).astype(dtype) for _ in range(2)]

    def trained(captured: bool) -> list[np.ndarray]:
        weights = [tm.tensor(w.copy(), requires_grad=True) for w in start]
        optimizer = tm.optim.SGD(weights, lr=0.1, momentum=0.5)

        def step(x: tm.Tensor) -> tm.Tensor:
            optimizer.zero_grad()
            stack = run(program, x, weights)
            loss = (stack[-1] * 1.5 + stack[-2]).mean()
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


@given(program=MATRICES)
def test_a_plan_of_matrices_in_cpp_does_what_the_step_does(program):
    same_as_plain(matrices, program, (N, N), (N, N), np.float64, 1e-9)


@given(program=PICTURES)
def test_a_plan_of_images_in_cpp_does_what_the_step_does(program):
    same_as_plain(pictures, program, SHAPE, (3, 3, 3, 3), np.float64, 1e-9)


PRECISIONS = st.sampled_from([(np.float64, 1e-9), (np.float32, 1e-3)])


@pytest.mark.slow
@settings(max_examples=1500)
@given(program=MATRICES, precision=PRECISIONS)
def test_many_plans_of_matrices_in_cpp_do_what_the_step_does(program, precision):
    same_as_plain(matrices, program, (N, N), (N, N), *precision)


@pytest.mark.slow
@settings(max_examples=1000)
@given(program=PICTURES)
def test_many_plans_of_images_in_cpp_do_what_the_step_does(program):
    same_as_plain(pictures, program, SHAPE, (3, 3, 3, 3), np.float64, 1e-9)
