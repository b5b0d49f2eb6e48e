"""Softmax, its logarithm, and the logarithm of sums of exponentials."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as shapes

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch
from tinygrad_mmb import ops

X = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]])
INFINITE = np.array([[np.inf, 1.0, 2.0], [-np.inf, -np.inf, -np.inf], [-np.inf, 0.0, np.nan]])
INPUTS = [X, X.T, np.zeros((2, 0)), np.array(3.0), X.astype(np.float16), 1e4 * X,
          np.array([[1, 2]], np.int8), np.array([[True, False]])]  # fmt: skip
matrices = shapes.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 5)),
                         elements={"min_value": -30, "max_value": 30})  # fmt: skip


@given(matrices)
def test_rows_sum_to_one_and_are_positive(x):
    y = ops.softmax(x, -1)
    np.testing.assert_allclose(y.sum(1), 1.0, rtol=1e-12)
    assert (y > 0).all()


@given(matrices)
def test_softmax_ignores_a_shift_common_to_the_row(x):
    np.testing.assert_allclose(ops.softmax(x + 1000.0, 1), ops.softmax(x, 1), atol=1e-9)


@given(matrices)
def test_the_logarithm_of_softmax_is_what_logsumexp_leaves(x):
    np.testing.assert_allclose(ops.log_softmax(x, 1), x - ops.logsumexp(x, 1, True), atol=1e-12)


def test_the_lectures_numbers():  # N03: exp gives 24.5325, 164.0219, 0.1827
    p = tm.tensor([3.2, 5.1, -1.7], dtype=tm.float64).softmax(0)
    np.testing.assert_allclose(p.numpy(), [0.129983, 0.869050, 0.000968], atol=1e-6)
    np.testing.assert_allclose(-p.log().numpy(), [2.040355, 0.140355, 6.940355], atol=1e-6)


def test_the_jacobian_is_diag_p_minus_p_pt():
    x = tm.tensor([3.2, 5.1, -1.7], dtype=tm.float64)
    p = x.softmax(0).numpy()
    jacobian = tm.autograd.functional.jacobian(lambda x: x.softmax(0), x).numpy()
    np.testing.assert_allclose(jacobian, np.diag(p) - np.outer(p, p), atol=1e-12)


def test_nothing_overflows():
    x = tm.tensor([1e4, 0.0, -1e4])
    assert x.softmax(0).tolist() == [1.0, 0.0, 0.0]
    assert x.log_softmax(0).tolist() == [0.0, -1e4, -2e4]
    assert x.logsumexp(0).item() == 1e4


def test_the_sum_of_no_exponentials_has_the_logarithm_minus_infinity():
    assert tm.zeros(0).logsumexp(0).item() == -math.inf
    assert tm.tensor([-math.inf, -math.inf]).logsumexp(0).item() == -math.inf


@pytest.mark.torch
@pytest.mark.parametrize("x", [*INPUTS, INFINITE], ids=str)
@pytest.mark.parametrize(
    "f",
    [
        lambda t, x: t.softmax(x, 0),
        lambda t, x: x.softmax(-1),
        lambda t, x: x.softmax(dim=0, dtype=t.float64),
        lambda t, x: t.softmax(x, -1, t.float64),
        lambda t, x: x.softmax(2),
        lambda t, x: x.softmax(None),
        lambda t, x: x.softmax(True),
        lambda t, x: x.softmax(),
        lambda t, x: t.log_softmax(x, 0),
        lambda t, x: x.log_softmax(-1, dtype=t.float64),
        lambda t, x: x.log_softmax(1.0),
        lambda t, x: t.logsumexp(x, 0),
        lambda t, x: x.logsumexp((0, -1), True),
        lambda t, x: x.logsumexp(None),
        lambda t, x: x.logsumexp((0, 0)),
        lambda t, x: x.logsumexp(-3),
    ],
)
def test_calls_answer_or_refuse_as_in_pytorch(f, x):
    same_as_torch(f, x)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: x.long().softmax(0), NotImplementedError, "not implemented for int64"),
        (lambda x: x.log_softmax(0, dtype=tm.int32), NotImplementedError, "int32"),
        (lambda x: x.logsumexp(None), TypeError, "Name them all"),
        (lambda x: x.logsumexp(()), RuntimeError, "dim is empty"),
    ],
)
def test_errors_say_what_came_and_how_to_mend_it(call, error, text):
    with pytest.raises(error, match=text):
        call(tm.tensor([1.0, 2.0]))
