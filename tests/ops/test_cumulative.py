"""Running totals."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch

X = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]])


def test_each_element_is_in_all_later_totals_so_gradients_count_down():
    x = tm.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x.cumsum(0)
    y.sum().backward()
    assert y.tolist() == [1.0, 3.0, 6.0]
    assert x.grad.tolist() == [3.0, 2.0, 1.0]


def test_in_place_keeps_the_dtype():
    x = tm.tensor(np.array([100, 100], np.int8))
    assert x.cumsum(0).tolist() == [100, 200]
    assert x.cumsum_(0) is x
    assert x.tolist() == [100, -56]


@pytest.mark.torch
@pytest.mark.parametrize(
    "x",
    [X, X.T, np.zeros((2, 0)), np.array(3.0), X.astype(np.float16), np.array([[True, False]]),
     np.array([[1, 200]], np.uint8)],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize(
    "f",
    [
        lambda t, x: t.cumsum(x, 0),
        lambda t, x: x.cumsum(-1),
        lambda t, x: x.cumsum(2),
        lambda t, x: x.cumsum(None),
        lambda t, x: x.cumsum((0,)),
        lambda t, x: x.cumsum(True),
        lambda t, x: x.cumsum(),
        lambda t, x: x.cumsum(0, dtype=t.float64),
        lambda t, x: x.cumsum(0, dtype=t.int16),
        lambda t, x: x.clone().cumsum_(0),
        lambda t, x: x.clone().cumsum_(0, dtype=t.int64),
        lambda t, x: x.clone().cumsum_(0, dtype=t.float64),
    ],
)
def test_calls_answer_or_refuse_as_in_pytorch(f, x):
    same_as_torch(f, x)


def test_errors_say_what_came_and_how_to_mend_it():
    with pytest.raises(NotImplementedError, match="not implemented for bool"):
        tm.ones(2).cumsum(0, dtype=tm.bool)
    with pytest.raises(RuntimeError, match="Use cumsum"):
        tm.ones(2).cumsum_(0, dtype=tm.float64)
    with pytest.raises(RuntimeError, match="has no gradient"):
        tm.ones(2, requires_grad=True).cumsum(0, dtype=tm.int32)
