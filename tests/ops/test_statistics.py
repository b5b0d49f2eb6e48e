"""Variance, standard deviation, norms."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch

X = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]])
TIES = np.array([[2.0, -2.0, 1.0], [0.0, 0.0, 0.0]])
INPUTS = [X, TIES, X.T, np.zeros((2, 0)), np.array(3.0), X.astype(np.float16), np.array([3.0]),
          np.array([1, 2], np.int8)]  # fmt: skip


def test_bessels_correction_divides_by_one_less():
    x = tm.tensor([1.0, 2.0, 3.0, 4.0])
    assert x.var().item() == pytest.approx(5.0 / 3.0)
    assert x.var(unbiased=False).item() == pytest.approx(1.25)
    assert x.std(correction=0).item() == pytest.approx(math.sqrt(1.25))


@pytest.mark.filterwarnings("ignore:invalid value")
def test_one_number_has_no_variance():
    x = tm.tensor([3.0], requires_grad=True)
    with pytest.warns(UserWarning, match="degrees of freedom"):
        y = x.std(0)
    y.backward()
    assert math.isnan(y.item())
    assert math.isnan(x.grad.item())


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, math.inf])
def test_the_gradient_of_a_norm_at_zero_is_zero(p):
    x = tm.zeros(3, requires_grad=True)
    x.norm(p).backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.torch
@pytest.mark.parametrize("x", INPUTS, ids=str)
@pytest.mark.parametrize(
    "f",
    [
        lambda t, x: t.var(x),
        lambda t, x: x.var(False),
        lambda t, x: x.var(0, False),
        lambda t, x: x.var(-1, True, True),
        lambda t, x: x.var((0, -1), correction=0, keepdim=True),
        lambda t, x: x.var(correction=5),
        lambda t, x: x.var(0, correction=5),
        lambda t, x: x.var(0, correction=2),
        lambda t, x: x.var(correction=1.5),
        lambda t, x: x.var(correction=None),
        lambda t, x: x.var([]).detach(),  # PyTorch's gradient is infinite: it counts 1 element
        lambda t, x: x.var(keepdim=True),
        lambda t, x: x.var(unbiased=False, keepdim=True),
        lambda t, x: x.var(0, None),
        lambda t, x: x.var(0, 1),
        lambda t, x: x.var(0, unbiased=True, correction=1),
        lambda t, x: x.var(0, correction="a"),
        lambda t, x: x.var((0, 0)),
        lambda t, x: x.var(3),
        lambda t, x: t.std(x),
        lambda t, x: x.std(0),
        lambda t, x: x.std(-1, False, True),
        lambda t, x: x.std(correction=2),
    ],
)  # fmt: skip
def test_variance_answers_or_refuses_as_in_pytorch(f, x):
    same_as_torch(f, x)


@pytest.mark.torch
@pytest.mark.parametrize("x", INPUTS, ids=str)
@pytest.mark.parametrize("p", ["fro", 0, 0.5, 1, 1.5, 2, 3, -1, math.inf, -math.inf, None, True])
@pytest.mark.parametrize("dim", [None, 0, (), (0, -1)], ids=str)
def test_norms_answer_or_refuse_as_in_pytorch(x, p, dim):
    same_as_torch(lambda t, x: t.norm(x, p, dim), x)


@pytest.mark.torch
@pytest.mark.parametrize(
    "f",
    [
        lambda t, x: x.norm(keepdim=True),
        lambda t, x: x.norm(1, 0, True),
        lambda t, x: x.norm(2, dtype=t.float64),
        lambda t, x: x.norm(2, dtype=t.float32),
        lambda t, x: x.norm(2, dtype=t.int64),
        lambda t, x: x.norm("bad"),
        lambda t, x: x.norm([1]),
        lambda t, x: x.norm("fro", (0, 1, 2)),
        lambda t, x: x.norm(2, (0, 0)),
        lambda t, x: x.norm(2, 5),
        lambda t, x: x.norm(2, 0, 1),
    ],
)
def test_other_calls_of_norm_answer_or_refuse_as_in_pytorch(f):
    same_as_torch(f, X)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: x.long().var(), RuntimeError, "only supports floating point"),
        (lambda x: x.var(0, True, correction=1), TypeError, "not both"),
        (lambda x: x.var(unbiased=True, keepdim=True), TypeError, "needs dim"),
        (lambda x: x.var(0, 1), TypeError, "unbiased must be bool"),
        (lambda x: x.var(0, correction="a"), TypeError, "must be Number"),
        (lambda x: x.norm("nuc"), NotImplementedError, "nuclear"),
        (lambda x: x.norm("abc"), RuntimeError, "not supported"),
        (lambda x: x.long().norm(), RuntimeError, "norm is a floating-point number"),
        (lambda x: x.double().norm(dtype=tm.float32), RuntimeError, "narrower"),
        (lambda x: x[:0].norm(math.inf), RuntimeError, "empty dimension"),
    ],
)
def test_errors_say_what_came_and_how_to_mend_it(call, error, text):
    with pytest.raises(error, match=text):
        call(tm.tensor([[1.0, 2.0], [3.0, 4.0]]))
