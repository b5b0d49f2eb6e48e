"""Gather, scatter_add, nonzero."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch

X = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]])
INDEX = np.array([[0, 1], [2, 0]])
INDICES = {
    "fits": INDEX,
    "int32": INDEX.astype(np.int32),
    "int16": INDEX.astype(np.int16),
    "float": INDEX.astype(np.float64),
    "bool": INDEX > 0,
    "vector": INDEX[0],
    "number": np.array(0),
    "too large": np.array([[0, 3]]),
    "negative": np.array([[0, -1]]),
    "too many rows": np.zeros((3, 1), np.int64),
    "too many columns": np.zeros((1, 4), np.int64),
    "empty": np.zeros((0, 3), np.int64),
    "empty of another shape": np.zeros(0, np.int64),
    "empty of another dtype": np.zeros((0, 0), np.uint8),
    "repeated": np.zeros((2, 3), np.int64),
}


def test_gather_picks_and_its_gradient_adds_up_what_was_picked_twice():
    x = tm.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = x.gather(1, tm.tensor([[1, 1], [0, 1]]))
    y.sum().backward()
    assert y.tolist() == [[2.0, 2.0], [3.0, 4.0]]
    assert x.grad.tolist() == [[0.0, 2.0], [1.0, 1.0]]


def test_scatter_add_is_the_transpose_of_gather(rng):
    x, g = tm.tensor(rng.standard_normal((4, 3))), tm.tensor(rng.standard_normal((5, 3)))
    index = tm.tensor(rng.integers(0, 4, (5, 3)))
    forward = (x.gather(0, index) * g).sum().item()
    backward = (x * tm.zeros(4, 3, dtype=tm.float64).scatter_add(0, index, g)).sum().item()
    assert forward == pytest.approx(backward, rel=1e-12)


@pytest.mark.torch
@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES.keys())
@pytest.mark.parametrize("x", [X, X.T, X[0], np.array(3.0), np.zeros((2, 0))], ids=str)
@pytest.mark.parametrize("dim", [0, -1])
def test_gather_answers_or_refuses_as_in_pytorch(x, dim, index):
    fixed = tm.from_numpy(index)
    same_as_torch(lambda t, x: t.gather(x, dim, there(t, index, fixed)), x)


@pytest.mark.torch
@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES.keys())
@pytest.mark.parametrize("x", [X, X.T, np.array(3.0), X.astype(np.float16)], ids=str)
@pytest.mark.parametrize("dim", [0, 1])
def test_scatter_add_answers_or_refuses_as_in_pytorch(x, dim, index):
    src = np.ones(np.maximum(index.shape, 1), x.dtype) if index.ndim == 2 else np.ones(3, x.dtype)
    fixed = tm.from_numpy(index)

    def add(t, x):
        return t.scatter_add(x, dim, there(t, index, fixed), t.from_numpy(src.copy()))

    same_as_torch(add, x)


@pytest.mark.torch
@pytest.mark.parametrize(
    "f",
    [
        lambda t, x, i, s: x.scatter_add(1, i, s),
        lambda t, x, i, s: x.clone().scatter_add_(1, i, s),
        lambda t, x, i, s: x.scatter_add(1, i, s[:, :1]),
        lambda t, x, i, s: x.scatter_add(1, i, 1.0),
        lambda t, x, i, s: x.scatter_add(1, i, s.float()),
        lambda t, x, i, s: x.scatter_add(2, i, s),
        lambda t, x, i, s: x.gather(1.0, i),
        lambda t, x, i, s: x.gather(1, [[0]]),
    ],
)
def test_other_calls_answer_or_refuse_as_in_pytorch(f):
    same_as_torch(f, X, INDEX, np.array([[1.0, 2.0], [3.0, 4.0]]))


@pytest.mark.torch
@pytest.mark.parametrize(
    "x",
    [X, X > 0, np.array(3.0), np.array(0.0), np.zeros((2, 0)), np.array([np.nan, 0.0])],
    ids=str,
)
@pytest.mark.parametrize("as_tuple", [False, True, 1])
def test_nonzero_answers_or_refuses_as_in_pytorch(x, as_tuple):
    same_as_torch(lambda t, x: x.nonzero(as_tuple=as_tuple), x)


def there(t, index, ours):
    return ours if t is tm else t.from_numpy(index.copy())


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x, i: x.gather(1, i.float()), RuntimeError, "int32/int64 for index"),
        (
            lambda x, i: x.gather(1, i + 9),
            RuntimeError,
            "index 11 is out of bounds for dimension 1",
        ),
        (lambda x, i: x.gather(1, i[0]), RuntimeError, "same number of dimensions"),
        (lambda x, i: x.gather(0, tm.zeros(1, 9).long()), RuntimeError, "no larger than x"),
        (lambda x, i: x.gather(1, [[0]]), TypeError, "must be Tensor, not list"),
        (lambda x, i: x.gather(1, i, sparse_grad=True), NotImplementedError, "sparse_grad"),
        (lambda x, i: x.scatter_add(1, i, x.double()), RuntimeError, "so src must be as well"),
        (lambda x, i: x.scatter_add(1, i, x[:, :1]), RuntimeError, "no larger than src"),
        (lambda x, i: x.scatter_add(1, i, 2.0), TypeError, "'src'"),
    ],
)
def test_errors_say_what_came_and_how_to_mend_it(call, error, text):
    with pytest.raises(error, match=text):
        call(tm.ones(2, 3), tm.tensor(INDEX))


def test_the_gradient_of_a_src_larger_than_its_index_is_refused():
    src = tm.ones(2, 3, requires_grad=True)
    y = tm.zeros(2, 3).scatter_add(1, tm.tensor(INDEX), src)
    with pytest.raises(RuntimeError, match="Cut src"):
        y.sum().backward()


@pytest.mark.parametrize(
    "call",
    [
        lambda x, i: tm.gather(x, 0, i),
        lambda x, i: tm.scatter_add(tm.zeros(3), 0, i, x),
        lambda x, i: tm.index_select(x, 0, i),
        lambda x, i: tm.index_add(tm.zeros(3), 0, i, x),
        lambda x, i: x[i],
    ],
)
def test_an_index_written_over_before_backward_is_refused(call):
    x = tm.tensor([1.0, 2.0, 3.0], requires_grad=True)
    index = tm.tensor([0, 2, 1])
    y = call(x, index)
    index.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("name", ["max", "sort", "topk"])
def test_indices_that_were_returned_and_written_over_are_refused(name):
    x = tm.tensor([1.0, 2.0, 3.0], requires_grad=True)
    values, indices = getattr(x, name)(*([2] if name == "topk" else []), dim=0)
    indices.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        values.sum().backward()
