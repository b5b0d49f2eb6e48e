"""Sort, argsort, topk."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as shapes

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch
from tinygrad_mmb import ops

X = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]])
TIES = np.array([2.0, 1.0, 2.0, 1.0, 2.0])
NAN = np.array([1.0, np.nan, 3.0, np.nan, 3.0])


@given(shapes.arrays(np.float64, shapes.array_shapes(max_dims=3)))
def test_sort_agrees_with_numpy_and_its_indices_find_the_values(x):
    for dim in range(x.ndim):
        values, indices = ops.sort(x, dim)
        np.testing.assert_array_equal(values, np.sort(x, dim))
        np.testing.assert_array_equal(values, np.take_along_axis(x, indices, dim))
        np.testing.assert_array_equal(ops.sort(-x, dim, descending=True)[1], indices_of(-x, dim))


def indices_of(x, dim):
    """Stable, descending, NaN first: by sorting pairs."""
    key = np.where(np.isnan(x), np.inf, x)
    first = np.where(np.isnan(x), 0, 1)
    return np.lexsort((first, -key), dim)


def test_equal_ones_keep_their_order_in_both_directions():
    x = tm.tensor(TIES)
    assert x.argsort().tolist() == [1, 3, 0, 2, 4]
    assert x.argsort(descending=True).tolist() == [0, 2, 4, 1, 3]


def test_nan_counts_as_the_largest():
    values, indices = tm.tensor(NAN).sort(descending=True)
    assert math.isnan(values[0].item())
    assert indices.tolist() == [1, 3, 2, 4, 0]


def test_gradients_go_back_to_where_the_values_came_from():
    x = tm.tensor([3.0, 1.0, 2.0], requires_grad=True)
    (x.topk(2).values * tm.tensor([10.0, 20.0])).sum().backward()
    assert x.grad.tolist() == [10.0, 0.0, 20.0]


@pytest.mark.torch
@pytest.mark.parametrize(
    "x", [X, X.T, TIES, NAN, np.array(3.0), np.zeros((2, 0)), X > 0, X.astype(np.float16)], ids=str
)
@pytest.mark.parametrize(
    "f",
    [
        lambda t, x: t.sort(x),
        lambda t, x: x.sort(0, True),
        lambda t, x: x.sort(dim=-1, descending=True, stable=True),
        lambda t, x: x.sort(stable=None),
        lambda t, x: x.sort(2),
        lambda t, x: x.sort(None),
        lambda t, x: x.sort(True),
        lambda t, x: x.sort(0, 1),
        lambda t, x: x.sort(0, True, True),
        lambda t, x: x.sort(0, stable=True),
        lambda t, x: x.sort(0, True, dim=0),
        lambda t, x: x.sort(0, descending=True),
        lambda t, x: x.argsort(0, True),
        lambda t, x: x.argsort(0, stable=True),
        lambda t, x: x.argsort(stable=None),
        lambda t, x: t.argsort(x, 0),
        lambda t, x: x.argsort(stable=True, descending=True),
        lambda t, x: x.argsort(True),
        lambda t, x: x.argsort(3),
    ],
)
def test_sorting_answers_or_refuses_as_in_pytorch(f, x):
    same_as_torch(f, x)


@pytest.mark.host_only("of equal ones, a GPU takes the first")
@pytest.mark.torch
@pytest.mark.parametrize("x", [X, X.T, np.array(3.0), np.zeros((2, 0)), X > 0, TIES, NAN], ids=str)
@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize(
    "f",
    [
        lambda t, x, largest: t.topk(x, 1, largest=largest),
        lambda t, x, largest: x.topk(2, 0, largest, True),
        lambda t, x, largest: x.topk(0, largest=largest),
        lambda t, x, largest: x.topk(9, largest=largest),
        lambda t, x, largest: x.topk(-1, largest=largest),
        lambda t, x, largest: x.topk(1, 2, largest),
        lambda t, x, largest: x.topk(1.0, 0, largest),
        lambda t, x, largest: x.topk(t.tensor(1), 0, largest),
        lambda t, x, largest: x.topk(1, 0, int(largest)),
    ],
)
def test_topk_answers_or_refuses_as_in_pytorch(f, x, largest):
    same_as_torch(lambda t, x: f(t, x, largest), x)


@pytest.mark.host_only("of equal ones, a GPU takes the first")
@pytest.mark.torch
@pytest.mark.parametrize("n", [1, 4, 20, 70, 300])
@pytest.mark.parametrize("highest", [1, 5, 50])
@pytest.mark.parametrize("in_order", [True, False])
def test_of_equal_ones_topk_takes_those_that_pytorch_takes(rng, n, highest, in_order):
    x = rng.integers(0, highest, (6, n)).astype(np.float64)
    x[0, : n // 3] = np.nan
    for k in {0, 1, n // 64, n // 2, n}:
        same_as_torch(lambda t, x, k=k: x.topk(k, sorted=in_order), x)
        same_as_torch(lambda t, x, k=k: x.topk(k, -1, False, in_order), x)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: x.topk(3), RuntimeError, "k = 3, but input of shape"),
        (lambda x: x.topk(1.0), TypeError, "must be int, not float"),
        (lambda x: x.bool().topk(1), RuntimeError, "does not support bool"),
        (lambda x: x.sort(0, stable=True), TypeError, "all arguments by name"),
        (lambda x: x.sort(0, 1), TypeError, "descending must be bool"),
    ],
)
def test_errors_say_what_came_and_how_to_mend_it(call, error, text):
    with pytest.raises(error, match=text):
        call(tm.ones(2, 2))
