"""Sums, means, products, any, all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as shapes

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch
from tinygrad_mmb import ops

X = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]])
EMPTY = np.zeros((2, 0))
NUMBER = np.array(3.0)
SMALL = np.array([[100, 100], [100, -7]], np.int8)
FLAGS = np.array([[True, False], [True, True]])
BYTES = np.array([[1, 0], [3, 4]], np.uint8)


@given(
    shapes.arrays(
        np.float64, shapes.array_shapes(max_dims=4), elements={"min_value": -9, "max_value": 9}
    )
)
def test_sum_and_mean_agree_with_numpy_over_every_single_dimension(x):
    for dim in range(x.ndim):
        np.testing.assert_allclose(ops.sum(x, dim), x.sum(dim))
        np.testing.assert_allclose(ops.mean(x, -1 - dim, True), x.mean(-1 - dim, keepdims=True))


def test_the_gradient_of_a_sum_is_one_everywhere():
    x = tm.tensor(X, requires_grad=True)
    x.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.ones((2, 3)))


def test_float16_is_added_up_in_float32():
    x = tm.tensor(np.full(5000, 0.5, np.float16))
    assert x.sum().item() == 2500.0
    assert x.mean().item() == 0.5
    assert tm.tensor(np.full(40, 60000.0, np.float16)).mean().item() == np.float16(60000.0)


def test_integers_and_bools_are_counted_in_int64():
    assert tm.tensor(SMALL).sum().dtype == tm.int64
    assert tm.tensor(SMALL).sum().item() == 293
    assert tm.tensor(FLAGS).sum().item() == 3


@pytest.mark.parametrize(
    ("x", "gradient"),
    [
        ([2.0, 3.0, 4.0], [12.0, 8.0, 6.0]),
        ([0.0, 3.0, 4.0], [12.0, 0.0, 0.0]),
        ([0.0, 0.0, 4.0], [0.0, 0.0, 0.0]),
        ([0.0, 2.0, 3.0, 4.0, 5.0], [120.0, 0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_the_gradient_of_a_product_is_the_product_of_the_others(x, gradient):
    x = tm.tensor(x, requires_grad=True)
    x.prod().backward()
    assert x.grad.tolist() == gradient


def test_the_second_derivative_of_a_product_with_two_zeros_is_not_lost():
    x = tm.tensor([0.0, 0.0, 4.0], requires_grad=True, dtype=tm.float64)
    hessian = tm.autograd.functional.hessian(lambda x: x.prod(), x)
    assert hessian.tolist() == [[0.0, 4.0, 0.0], [4.0, 0.0, 0.0], [0.0, 0.0, 0.0]]


@pytest.mark.torch
@pytest.mark.parametrize(
    "x", [X, EMPTY, NUMBER, SMALL, FLAGS, BYTES, X.astype(np.float16), X.T], ids=str
)
@pytest.mark.parametrize(
    "f",
    [
        lambda t, x: t.sum(x),
        lambda t, x: x.sum(0),
        lambda t, x: x.sum((0, 1), True),
        lambda t, x: x.sum([]),
        lambda t, x: x.sum(()),
        lambda t, x: x.sum(None, True),
        lambda t, x: x.sum((0, 0)),
        lambda t, x: x.sum((0, -2)),
        lambda t, x: x.sum(2),
        lambda t, x: x.sum(keepdim=True),
        lambda t, x: x.sum(0, 1),
        lambda t, x: x.sum(1.0),
        lambda t, x: x.sum(True),
        lambda t, x: x.sum("a"),
        lambda t, x: x.sum(dtype=t.int32),
        lambda t, x: x.sum(dtype=t.bool),
        lambda t, x: x.sum(-1, dtype=t.float64),
        lambda t, x: t.mean(x),
        lambda t, x: x.mean(-1, True),
        lambda t, x: x.mean(dtype=t.float64),
        lambda t, x: x.mean(dtype=t.int64),
        lambda t, x: t.prod(x),
        lambda t, x: x.prod(-1),
        lambda t, x: x.prod(0, True),
        lambda t, x: x.prod((0,)),
        lambda t, x: x.prod(None),
        lambda t, x: x.prod(dtype=t.float64),
        lambda t, x: t.any(x),
        lambda t, x: x.any(-1, True),
        lambda t, x: x.any(()),
        lambda t, x: x.any(keepdim=True),
        lambda t, x: t.all(x),
        lambda t, x: x.all((0, -1)),
        lambda t, x: x.all([]),
        lambda t, x: x.all(3),
    ],
)  # fmt: skip
def test_calls_answer_or_refuse_as_in_pytorch(f, x):
    same_as_torch(f, x)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ops.sum([1, 2]), TypeError, "must be Tensor, not list"),
        (lambda: tm.tensor(X).sum(keepdim=True), TypeError, "keepdim needs dim"),
        (lambda: tm.tensor(X).sum(0, 1), TypeError, "must be bool, not int"),
        (lambda: tm.tensor(X).sum((0, -2)), RuntimeError, "dim 0 appears multiple times"),
        (lambda: tm.tensor(SMALL).mean(), RuntimeError, "dtype of x is int8"),
        (lambda: tm.tensor(X).mean(dtype=tm.int64), RuntimeError, "dtype asked for is int64"),
    ],
)
def test_errors_say_what_came_and_how_to_mend_it(call, error, text):
    with pytest.raises(error, match=text):
        call()
