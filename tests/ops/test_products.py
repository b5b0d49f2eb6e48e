"""Products of matrices and vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch
from tinygrad_mmb import ops

RNG = np.random.default_rng(0)
M = RNG.standard_normal((2, 3))
OPERANDS = {
    "vectors": (M[0], M[1]),
    "vectors of different lengths": (M[0], M[1][:2]),
    "matrix and vector": (M, M[0]),
    "vector and matrix": (M[:, 0], M),
    "matrices": (M, M.T),
    "matrices that do not fit": (M, M),
    "batch and matrix": (RNG.standard_normal((4, 2, 3)), RNG.standard_normal((3, 2))),
    "matrix and batch": (M, RNG.standard_normal((4, 3, 2))),
    "batch and vector": (RNG.standard_normal((4, 2, 3)), M[0]),
    "vector and batch": (M[0], RNG.standard_normal((4, 3, 2))),
    "broadcast batches": (RNG.standard_normal((2, 1, 2, 3)), RNG.standard_normal((4, 3, 2))),
    "equal batches": (RNG.standard_normal((4, 2, 3)), RNG.standard_normal((4, 3, 2))),
    "unequal batches": (RNG.standard_normal((2, 2, 3)), RNG.standard_normal((3, 3, 2))),
    "nothing inside": (np.zeros((2, 0)), np.zeros((0, 3))),
    "nothing outside": (np.zeros((0, 3)), M.T),
    "empty batch": (np.zeros((0, 2, 3)), M.T),
    "dtypes that differ": (M, M.T.astype(np.float32)),
    "integers": (np.array([[1, 100]], np.int8), np.array([[2], [2]], np.int8)),
    "bools": (np.array([[True]]), np.array([[True]])),
    "bool vectors": (np.array([True]), np.array([True])),
    "float16": (M.astype(np.float16), M.T.astype(np.float16)),
    "float and int vectors": (M[0], np.array([1, 2])),
}


def test_the_lectures_affine_map_takes_a_vector():  # N09
    weight = tm.tensor([[0.5, 1.5, 0.8], [0.0, 2.1, 0.6]])
    x, b = tm.tensor([1.0, 2.0, 3.0]), tm.tensor([5.0, 5.0])
    np.testing.assert_allclose((weight @ x).numpy(), [5.9, 6.0], rtol=1e-6)
    np.testing.assert_allclose((weight @ x + b).numpy(), [10.9, 11.0], rtol=1e-6)


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 2))
def test_a_product_is_the_sum_over_the_inner_index(n, k, m, batch):
    a, b = RNG.standard_normal((batch, n, k)), RNG.standard_normal((batch, k, m))
    loops = np.zeros((batch, n, m))
    for i in range(k):
        loops += a[:, :, i, None] * b[:, None, i, :]
    np.testing.assert_allclose(ops.matmul(a, b), loops, atol=1e-12)


@pytest.mark.torch
@pytest.mark.parametrize("operands", OPERANDS.values(), ids=OPERANDS.keys())
@pytest.mark.parametrize("name", ["matmul", "mm", "bmm", "mv", "dot", "outer"])
def test_calls_answer_or_refuse_as_in_pytorch(name, operands):
    same_as_torch(lambda t, a, b: getattr(t, name)(a, b), *operands)


@pytest.mark.torch
@pytest.mark.parametrize(
    "f",
    [
        lambda t, a: a @ a.T,
        lambda t, a: a @ 2,
        lambda t, a: 2 @ a,
        lambda t, a: a @ [1, 2, 3],
        lambda t, a: t.matmul(a, 2),
        lambda t, a: a.matmul(a.t()).mm(a),
        lambda t, a: a.mv(a[0]).dot(a[:, 1]),
    ],
)
def test_operators_and_methods_answer_or_refuse_as_in_pytorch(f):
    same_as_torch(f, M)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda a: a @ a, RuntimeError, r"\(2, 3\) and \(2, 3\) cannot be multiplied"),
        (lambda a: a @ a.T.double(), RuntimeError, "float32 and float64"),
        (lambda a: a.sum() @ a, RuntimeError, r"Use \* for numbers"),
        (
            lambda a: tm.ones(2, 2, 3) @ tm.ones(3, 3, 2),
            RuntimeError,
            "do not broadcast: 2 is not 3",
        ),
        (lambda a: a.mm(a[0]), RuntimeError, "expected 2-D and 2-D tensors"),
        (lambda a: a[None].bmm(tm.ones(2, 3, 1)), RuntimeError, "1 and 2 matrices"),
        (lambda a: a.bool() @ a.T.bool(), NotImplementedError, "not implemented for bool"),
        (lambda a: tm.mv(a, 2), TypeError, "'vec' .* must be Tensor"),
    ],
)
def test_errors_say_what_came_and_how_to_mend_it(call, error, text):
    with pytest.raises(error, match=text):
        call(tm.ones(2, 3))
