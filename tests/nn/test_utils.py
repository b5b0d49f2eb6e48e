"""Clipping of gradients, and parameters as a vector."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb import nn
from tinygrad_mmb.nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    parameters_to_vector,
    vector_to_parameters,
)


def with_gradients(*gradients):
    parameters = [nn.Parameter(tm.zeros(len(g))) for g in gradients]
    for p, g in zip(parameters, gradients, strict=True):
        p.grad = tm.tensor(g)
    return parameters


def test_a_norm_of_10_is_clipped_to_1_and_the_direction_kept():
    a, b = with_gradients([6.0, 0.0], [8.0])
    assert clip_grad_norm_([a, b], 1.0).item() == pytest.approx(10.0)
    np.testing.assert_allclose(a.grad.numpy(), [0.6, 0.0], rtol=1e-6)
    np.testing.assert_allclose(b.grad.numpy(), [0.8], rtol=1e-6)


def test_a_norm_below_the_threshold_is_left_as_it_is():
    (a,) = with_gradients([0.3, 0.4])
    clip_grad_norm_(a, 1.0)
    np.testing.assert_array_equal(a.grad.numpy(), np.float32([0.3, 0.4]))


@pytest.mark.parametrize(("kind", "norm"), [(1.0, 7.0), (math.inf, 4.0), (2.0, 5.0)])
def test_other_norms(kind, norm):
    assert clip_grad_norm_(with_gradients([3.0], [-4.0]), 1.0, kind).item() == pytest.approx(norm)


def test_parameters_without_gradients_are_passed_over():
    assert clip_grad_norm_([nn.Parameter(tm.ones(2))], 1.0).item() == 0.0
    clip_grad_value_([nn.Parameter(tm.ones(2))], 1.0)


def test_a_norm_that_is_not_finite_is_an_error_if_asked_for():
    with pytest.raises(RuntimeError, match=r"total norm of order 2\.0 of the gradients is inf"):
        clip_grad_norm_(with_gradients([math.inf]), 1.0, error_if_nonfinite=True)


def test_values_are_cut_on_both_sides():
    (a,) = with_gradients([3.0, -3.0, 0.5])
    clip_grad_value_(a, 1)
    np.testing.assert_array_equal(a.grad.numpy(), [1.0, -1.0, 0.5])


def test_parameters_go_into_a_vector_and_back():
    a, b = nn.Linear(3, 2), nn.Linear(3, 2)
    vector_to_parameters(parameters_to_vector(a.parameters()), b.parameters())
    np.testing.assert_array_equal(a.weight.detach().numpy(), b.weight.detach().numpy())
    np.testing.assert_array_equal(a.bias.detach().numpy(), b.bias.detach().numpy())
    assert b.weight.is_leaf and b.weight.requires_grad


def test_the_vector_is_differentiable():
    layer = nn.Linear(2, 2)
    (parameters_to_vector(layer.parameters()) ** 2).sum().backward()
    np.testing.assert_allclose(layer.bias.grad.numpy(), 2 * layer.bias.detach().numpy())


def test_a_vector_that_is_none_or_too_short_is_refused():
    with pytest.raises(TypeError, match="expected Tensor, but got: list"):
        vector_to_parameters([1.0], nn.Linear(1, 1).parameters())
    with pytest.raises(RuntimeError, match="fewer than"):
        vector_to_parameters(tm.ones(1), nn.Linear(1, 1).parameters())


@pytest.mark.torch
@pytest.mark.parametrize("kind", [1.0, 2.0, 3.0, math.inf])
def test_clipping_is_pytorchs(rng, kind):
    torch = pytest.importorskip("torch")
    arrays = [rng.standard_normal(s) for s in ((2, 3), (4,), ())]
    ours = [nn.Parameter(tm.from_numpy(np.zeros_like(a))) for a in arrays]
    theirs = [torch.nn.Parameter(torch.zeros(a.shape, dtype=torch.float64)) for a in arrays]
    for p, q, a in zip(ours, theirs, arrays, strict=True):
        p.grad, q.grad = tm.from_numpy(np.array(a)), torch.from_numpy(np.array(a))
    total = clip_grad_norm_(ours, 0.7, kind)
    expected = torch.nn.utils.clip_grad_norm_(theirs, 0.7, kind)
    np.testing.assert_allclose(total.numpy(), expected.numpy())
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-12)
