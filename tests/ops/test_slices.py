"""index_select and index_add."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch

X = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]])


def test_slices_taken_twice_collect_both_gradients():
    x = tm.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = x.index_select(0, tm.tensor([1, 1]))
    y.sum().backward()
    assert y.tolist() == [[3.0, 4.0], [3.0, 4.0]]
    assert x.grad.tolist() == [[0.0, 0.0], [2.0, 2.0]]


def test_index_add_adds_every_time_an_index_comes():
    x = tm.zeros(2, 2)
    assert x.index_add_(0, tm.tensor([1, 1]), tm.ones(2, 2), alpha=2) is x
    assert x.tolist() == [[0.0, 0.0], [4.0, 4.0]]


def test_many_slices_are_added_as_few_are(rng):
    index, source = rng.integers(0, 50, 1000), rng.standard_normal((1000, 8))
    few = np.zeros((60, 8))
    np.add.at(few, index, source)
    many = tm.zeros(60, 8, dtype=tm.float64).index_add(0, tm.tensor(index), tm.tensor(source))
    np.testing.assert_allclose(many.numpy(), few, atol=1e-12)


@pytest.mark.torch
@pytest.mark.parametrize(
    "index",
    [np.array([1, 0, 0]), np.array(1), np.array([0], np.int32), np.array([0], np.int16),
     np.array([0.0]), np.array([True]), np.zeros((1, 1), np.int64), np.array([3]), np.array([-1]),
     np.zeros(0, np.int64)],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("x", [X, X.T, X[0], np.array(3.0), X > 0, X.astype(np.float16)], ids=str)
@pytest.mark.parametrize("dim", [0, -1])
def test_index_select_answers_or_refuses_as_in_pytorch(x, index, dim):
    same_as_torch(lambda t, x: x.index_select(dim, t.from_numpy(index.copy())), x)


@pytest.mark.torch
@pytest.mark.parametrize(
    "f",
    [
        lambda t, x, i: x.index_add(0, i, x),
        lambda t, x, i: x.index_add(0, i.int(), x, alpha=2.5),
        lambda t, x, i: x.clone().index_add_(0, i * 0, x * x, alpha=-1),
        lambda t, x, i: x.index_add(0, i, x.float()),
        lambda t, x, i: x.index_add(1, i, x),
        lambda t, x, i: x.index_add(0, i + 1, x),
        lambda t, x, i: x.index_add(0, i - 1, x),
        lambda t, x, i: x.index_add(0, i[0], x[:1]),
        lambda t, x, i: x.index_add(0, i[:1], x[0]),
        lambda t, x, i: x.index_add(0, i.double(), x),
        lambda t, x, i: x.index_add(0, i[None], x),
        lambda t, x, i: x.index_add(0, i, x[:, :2]),
        lambda t, x, i: x.index_add(2, i, x),
        lambda t, x, i: x.index_add(0, i[:0], x[:0]),
        lambda t, x, i: x.index_add(0, i, 1.0),
        lambda t, x, i: x.long().index_add(0, i, x.long(), alpha=2.5),
        lambda t, x, i: (x > 0).index_add(0, i, x < 0, alpha=True),
        lambda t, x, i: x.index_add(0, i, x, alpha=0.1),
        lambda t, x, i: x.sum().index_add(0, i[:1], x.sum()),
        lambda t, x, i: x.sum().index_add(0, i, x[0, :2]),
    ],
)
def test_index_add_answers_or_refuses_as_in_pytorch(f):
    same_as_torch(f, X, np.array([0, 1]))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x, i: x.index_select(0, i.float()), RuntimeError, "int32/int64 for index"),
        (lambda x, i: x.index_select(0, i[None]), IndexError, "supposed to be a vector"),
        (lambda x, i: x.index_select(0, i + 5), IndexError, "index 6 is out of bounds"),
        (lambda x, i: x.sum().index_select(0, i), RuntimeError, "can have only 1 value"),
        (lambda x, i: x.index_add(0, i, x.double()), RuntimeError, "so source must be as well"),
        (lambda x, i: x.index_add(0, i, x[:, :1]), RuntimeError, "must have the shape of x"),
        (lambda x, i: x.index_add(0, i[:1], x), RuntimeError, "1 indices for source"),
        (lambda x, i: x.index_add(0, i, 2.0), TypeError, "'source'"),
    ],
)
def test_errors_say_what_came_and_how_to_mend_it(call, error, text):
    with pytest.raises(error, match=text):
        call(tm.ones(2, 3), tm.tensor([0, 1]))
