"""Values and gradients are those of Python, and so are errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_mmb as tm
from tests.autograd.compiled.both_ways import in_both, same


def expression(data: list[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    a, b, c = (tm.tensor(x, dtype=x.dtype, requires_grad=True) for x in data)
    y = ((a * b - c).relu() + (-a) * 2.5).sum() + (b * b).mean() + (c + a[:1]).exp().sum()
    y.backward()
    return [y.detach().numpy(), *(x.grad.numpy() for x in (a, b, c))]


SPECIAL = st.sampled_from([0.0, -0.0, 1.0, -1.5, 3.25, float("inf"), float("-inf"), float("nan")])


@given(
    st.sampled_from(["float32", "float64"]),
    st.sampled_from([(1,), (4, 4), (3, 1, 5), (128,), (129,), (7, 40)]),
    st.data(),
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_values_and_gradients_are_the_same_numbers(dtype: str, shape: Any, data: Any) -> None:
    arrays = [data.draw(hnp.arrays(dtype, shape, elements=SPECIAL)) for _ in range(3)]
    for fast, slow in zip(*in_both(lambda: expression(arrays)), strict=True):
        same(fast, slow)


@given(hnp.arrays("float32", st.integers(0, 128), elements=st.floats(-1e3, 1e3, width=32)))
def test_a_sum_of_few_numbers_has_numpys_bits(x: Any) -> None:
    assert tm.tensor(x).sum().item() == np.add.reduce(x)


@given(
    st.sampled_from(["float16", "float32", "float64", "int64", "bool"]),
    st.sampled_from(["float32", "float64", "int32"]),
    st.sampled_from([(), (1,), (2, 3)]),
)
def test_operands_of_other_dtypes_and_shapes_meet_alike(a: str, b: str, shape: Any) -> None:
    x, y = np.ones((2, 3), a), np.full(shape, 2, b)

    def run() -> Any:
        left, right = tm.tensor(x, dtype=x.dtype), tm.tensor(y, dtype=y.dtype)
        if right.is_floating_point():
            right.requires_grad_()
        z = left * right + 1
        if z.requires_grad:
            z.sum().backward()
            return z.detach().numpy(), right.grad.numpy()
        return (z.numpy(),)

    for fast, slow in zip(*in_both(run), strict=True):
        same(fast, slow)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: x + tm.ones(5),
        lambda x: x * "2",
        lambda x: x @ tm.ones(7),
        lambda x: x.backward(),
        lambda x: (x * 1.0).sum().detach().backward(),
        lambda x: twice((x * x).sum()),
        lambda x: written_over(x),
        lambda x: (x * None).sum(),
    ],
)
def test_errors_are_the_same(wrong: Callable[[Any], Any]) -> None:
    def run() -> tuple[type, str]:
        with pytest.raises(Exception) as caught:
            wrong(tm.ones(2, 3, requires_grad=True))
        return caught.type, str(caught.value)

    fast, slow = in_both(run)
    assert fast == slow


def twice(y: Any) -> None:
    y.backward()
    y.backward()


def written_over(x: Any) -> None:
    y = x * 1.0
    z = (y * y).sum()
    y.add_(1.0)
    z.backward()


def test_a_relu_whose_output_was_written_over_is_refused() -> None:
    y = tm.ones(3, requires_grad=True).relu()
    y.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation: ReluBackward0"):
        y.sum().backward()


@pytest.mark.host_only("NumPy's memory")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_that_lie_askew_in_memory_are_the_same(dtype: str) -> None:
    memory = np.zeros(8 * 100 + 1, np.uint8)
    numbers = memory[1 : 1 + 64 * np.dtype(dtype).itemsize].view(dtype)
    numbers[...] = np.linspace(-1, 1, 64)
    assert not numbers.flags.aligned

    def run() -> list[Any]:
        x = tm.Tensor(numbers).requires_grad_()
        loss = ((x * x - x).relu() + (-x)).sum()
        loss.backward()
        return [loss.detach().numpy(), x.grad.numpy()]

    for fast, slow in zip(*in_both(run), strict=True):
        same(fast, slow)
