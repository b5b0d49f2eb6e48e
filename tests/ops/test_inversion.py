"""Inverse and determinant."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch

REGULAR = np.array([[1.0, 2.0], [3.0, 4.0]])
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])


def test_the_inverse_undoes_the_matrix(rng):
    a = tm.tensor(rng.standard_normal((3, 5, 5)))
    np.testing.assert_allclose(
        (tm.linalg.inv(a) @ a).numpy(), np.eye(5)[None].repeat(3, 0), atol=1e-10
    )


def test_the_gradient_of_the_determinant_is_the_determinant_times_the_inverse_transposed(rng):
    a = tm.tensor(rng.standard_normal((4, 4)), requires_grad=True)
    y = tm.linalg.det(a)
    y.backward()
    np.testing.assert_allclose(
        a.grad.numpy(), y.item() * np.linalg.inv(a.detach().numpy()).T, rtol=1e-10
    )


def test_a_singular_matrix_has_a_determinant_with_the_adjugate_as_second_order_gradient():
    a = tm.tensor(SINGULAR, requires_grad=True)
    y = tm.linalg.det(a)
    (g,) = tm.autograd.grad(y, a, create_graph=True)
    assert y.item() == 0.0
    np.testing.assert_allclose(g.detach().numpy(), [[4.0, -2.0], [-2.0, 1.0]], atol=1e-12)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_adjugates_of_singular_matrices_are_right_to_second_order(rng, rank):
    a = rng.standard_normal((4, rank)) @ rng.standard_normal((rank, 4))
    x = tm.tensor(a, requires_grad=True)
    tm.autograd.gradgradcheck(tm.linalg.det, (x,))


@pytest.mark.torch
@pytest.mark.parametrize(
    "a",
    [REGULAR, SINGULAR, np.stack([REGULAR, SINGULAR]), np.zeros((0, 0)), np.zeros((0, 2, 2)),
     np.ones((2, 3)), np.ones(2), np.array(2.0), REGULAR.astype(np.float16),
     REGULAR.astype(np.int64), np.array([[np.nan, 1.0], [1.0, 1.0]]), REGULAR.astype(np.float32)],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize(
    "f",
    [
        lambda t, a: t.linalg.inv(a),
        lambda t, a: t.linalg.det(a),
        lambda t, a: a.inverse(),
        lambda t, a: a.det(),
    ],
)
def test_calls_answer_or_refuse_as_in_pytorch(f, a):
    same_as_torch(f, a)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: tm.linalg.inv(tm.tensor(SINGULAR)), tm.linalg.LinAlgError, "is singular"),
        (lambda: tm.linalg.inv(tm.tensor(np.stack([REGULAR, SINGULAR]))), RuntimeError, "matrix 1"),
        (lambda: tm.linalg.inv(tm.ones(2, 3)), RuntimeError, "square matrices"),
        (lambda: tm.linalg.det(tm.ones(2)), RuntimeError, "fewer than 2 dimensions"),
        (lambda: tm.linalg.det(tm.ones(2, 2).long()), RuntimeError, "expected floating point"),
        (lambda: tm.linalg.inv(tm.ones(2, 2).half()), RuntimeError, "too few digits"),
        (lambda: tm.linalg.det(tm.ones(2, 2).half()), NotImplementedError, "float16"),
        (lambda: tm.linalg.inv([[1.0]]), TypeError, "must be Tensor"),
    ],
)
def test_errors_say_what_came_and_how_to_mend_it(call, error, text):
    with pytest.raises(error, match=text):
        call()
