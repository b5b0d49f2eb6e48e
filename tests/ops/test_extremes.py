"""The largest and the smallest, and where they are."""

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
TIES = np.array([[2.0, 2.0, 1.0], [1.0, 1.0, 1.0]])
NAN = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, -1.0]])
INPUTS = [X, TIES, NAN, X.T, np.zeros((2, 0)), np.zeros((0, 2)), np.array(3.0),
          X.astype(np.float16), np.array([[2, 1], [2, 2]], np.uint8),
          np.array([[True, False]])]  # fmt: skip


@given(shapes.arrays(np.float64, shapes.array_shapes(max_dims=4)))
def test_values_and_indices_agree_with_numpy_nan_included(x):
    for dim in range(x.ndim):
        values, indices = ops.max(x, dim)
        np.testing.assert_array_equal(values, x.max(dim))
        np.testing.assert_array_equal(indices, x.argmax(dim))
        np.testing.assert_array_equal(ops.amin(x, dim), x.min(dim))


def test_equal_ones_share_the_gradient_of_amax_and_the_first_gets_that_of_max():
    x = tm.tensor([1.0, 3.0, 3.0], requires_grad=True)
    (shared,) = tm.autograd.grad(x.amax(0), x)
    (first,) = tm.autograd.grad(x.max(0).values, x)
    (of_all,) = tm.autograd.grad(x.max(), x)
    assert shared.tolist() == of_all.tolist() == [0.0, 0.5, 0.5]
    assert first.tolist() == [0.0, 1.0, 0.0]


def test_nan_is_the_largest_and_the_smallest():
    x = tm.tensor([1.0, math.nan, 3.0])
    assert math.isnan(x.max().item())
    assert math.isnan(x.min().item())
    assert x.argmax().item() == x.argmin().item() == 1


@pytest.mark.torch
@pytest.mark.parametrize("x", INPUTS, ids=str)
@pytest.mark.parametrize(
    "f",
    [
        lambda t, x: t.max(x),
        lambda t, x: t.min(x),
        lambda t, x: x.max(0),
        lambda t, x: x.min(-1, True),
        lambda t, x: x.max(dim=0, keepdim=True).indices,
        lambda t, x: x.max(2),
        lambda t, x: x.max((0,)),
        lambda t, x: x.max(None),
        lambda t, x: x.max(1.0),
        lambda t, x: x.max(keepdim=True),
        lambda t, x: x.max(0, 1),
        lambda t, x: x.max(x),
        lambda t, x: x.min(other=x),
        lambda t, x: x.max(0, other=x),
        lambda t, x: x.max(2.0),
        lambda t, x: t.amax(x),
        lambda t, x: x.amax(0),
        lambda t, x: x.amin((0, -1), True),
        lambda t, x: x.amin([]),
        lambda t, x: x.amax(None),
        lambda t, x: x.amax(keepdim=True),
        lambda t, x: x.amax("a"),
        lambda t, x: t.argmax(x),
        lambda t, x: x.argmin(0),
        lambda t, x: x.argmax(-1, True),
        lambda t, x: x.argmin(None, True),
        lambda t, x: x.argmax((0,)),
        lambda t, x: x.argmax(2),
    ],
)
def test_calls_answer_or_refuse_as_in_pytorch(f, x):
    same_as_torch(f, x)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: x[:0].max(), RuntimeError, "nothing to choose from"),
        (lambda x: x[:0].max(0), IndexError, "non-zero size"),
        (lambda x: x[:0].argmax(), IndexError, "nothing to choose from"),
        (lambda x: x.bool().argmax(), RuntimeError, "does not support bool"),
        (lambda x: x.max(0, other=x), TypeError, "not both"),
        (lambda x: x.max(keepdim=True), TypeError, "keepdim needs dim"),
    ],
)
def test_errors_say_what_came_and_how_to_mend_it(call, error, text):
    with pytest.raises(error, match=text):
        call(tm.tensor([[1.0, 2.0], [3.0, 4.0]]))
