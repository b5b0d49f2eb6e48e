"""Where a lecture deck is wrong as printed: the right form, and the difference.

Other errata are tested where the right form lives; README.md has the whole table.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb import nn


def variable(*values):
    return tm.tensor(values, dtype=tm.float64, requires_grad=True)


def test_erratum_4_the_training_error_rises_with_more_data():
    """The high-variance slide lets it fall. n samples, p weights: σ² (1 - p/n), from 0 up to σ²."""
    rng = np.random.default_rng(0)
    p, sigma, errors = 6, 0.5, []
    for n in (8, 16, 64, 512):
        runs = []
        for _ in range(200):
            x = tm.tensor(rng.standard_normal((n, p)))
            t = x.sum(1, keepdim=True) + tm.tensor(sigma * rng.standard_normal((n, 1)))
            w = tm.linalg.inv(x.T @ x) @ x.T @ t
            runs.append((x @ w - t).square().mean().item())
        errors.append(np.mean(runs))
        assert errors[-1] == pytest.approx(sigma**2 * (1 - p / n), rel=0.15)
    assert errors == sorted(errors)


def test_erratum_5_a_grid_has_the_product_of_its_sides():  # N06, N07
    assert math.prod((3, 3, 4, 4, 2)) == 288  # printed: 384
    assert 10 * 288 == 2880  # printed: 3840
    assert 5**6 == 15625  # as printed


def test_erratum_7_softmax_takes_an_axis_and_not_a_number_of_units():  # N17
    def network(*head):
        hidden = [layer for _ in range(3) for layer in (nn.Linear(128, 128), nn.ReLU())]
        return nn.Sequential(nn.Linear(32, 128), nn.ReLU(), *hidden, *head)

    x = tm.randn(5, 32)
    right = network(nn.Linear(128, 2), nn.Softmax(1))
    assert sum(p.numel() for p in right.parameters()) == 54_018
    y = right(x)
    assert y.shape == (5, 2)
    np.testing.assert_allclose(y.sum(1).detach().numpy(), 1.0, rtol=1e-6)

    printed = network(nn.Softmax(2))  # there is no axis 2, and no layer with 2 units
    with pytest.raises(IndexError, match="2"):
        printed(x)
    assert network(nn.Softmax(1))(x).shape == (5, 128)


def test_erratum_9_running_statistics_mix_the_batch_in_and_training_does_not_use_them():
    """Printed: μ̂ ← α μ̂ + (1 - α) μ̂, an identity, and averages used in training."""
    norm = nn.BatchNorm1d(2, momentum=0.1).double()
    batches = tm.randn(20, 8, 2, dtype=tm.float64) + 3.0
    mean, alpha = np.zeros(2), 0.9
    for batch in batches:
        y = norm(batch)
        np.testing.assert_allclose(y.mean(0).detach().numpy(), 0.0, atol=1e-12)  # batch statistics
        mean = alpha * mean + (1 - alpha) * batch.numpy().mean(0)
    np.testing.assert_allclose(norm.running_mean.numpy(), mean, rtol=1e-12)
    norm.eval()
    before = norm.running_mean.numpy().copy()
    assert norm(batches[0]).mean().abs().item() > 1e-3  # averages now, which this batch is not
    np.testing.assert_array_equal(norm.running_mean.numpy(), before)


def test_erratum_9_the_running_statistic_is_the_variance_and_not_the_deviation():
    norm = nn.BatchNorm1d(1, momentum=1.0).double()
    x = 4.0 * tm.randn(1000, 1, dtype=tm.float64)
    norm(x)
    assert norm.running_var.item() == pytest.approx(x.numpy().var(ddof=1))
    assert norm.running_var.item() > 3 * x.numpy().std()


def test_erratum_11_the_gradient_of_an_l1_penalty_has_the_factor_of_the_penalty():
    """Printed: λ/2 Σ|w| with the gradient λ sign w. It is (λ/2) sign w; at 0 it is 0."""
    w, lam = variable(2.0, -3.0, 0.0), 0.1
    (lam / 2 * w.abs().sum()).backward()
    np.testing.assert_allclose(w.grad.numpy(), [0.05, -0.05, 0.0])
    h = 1e-6
    numeric = (lam / 2 * abs(2.0 + h) - lam / 2 * abs(2.0 - h)) / (2 * h)
    assert numeric == pytest.approx(lam / 2)


def test_erratum_15_softmax_needs_two_indices():
    """Printed with one index for the class asked for and the sum: then every class gets 1."""
    z = tm.tensor([3.2, 5.1, -1.7])
    e = z.exp()
    right = tm.stack([e[j] / sum(e[i] for i in range(3)) for j in range(3)])
    np.testing.assert_allclose(right.numpy(), [0.129983, 0.869050, 0.000968], atol=1e-6)
    printed = sum(e[j] / e[j] for j in range(3)) / 3
    assert printed.item() == 1.0


def test_erratum_16_convolution_is_equivariant_and_only_pooling_makes_it_invariant():  # AR15
    convolution = nn.Conv2d(1, 3, 3, padding=1, bias=False).double()
    x = tm.zeros(1, 1, 12, 12, dtype=tm.float64)
    x[..., 3:7, 3:7] = tm.randn(4, 4, dtype=tm.float64)
    moved = x.roll((2, 3), (2, 3))
    y, y_moved = convolution(x).detach(), convolution(moved).detach()
    assert (y - y_moved).abs().max().item() > 0.1  # not invariant
    np.testing.assert_allclose(y_moved.numpy(), y.roll((2, 3), (2, 3)).numpy(), atol=1e-12)
    np.testing.assert_allclose(y_moved.amax((2, 3)).numpy(), y.amax((2, 3)).numpy(), atol=1e-12)


def test_erratum_16_without_eps_a_constant_feature_has_no_normalisation():
    x = tm.full((8, 1), 3.0)
    norm = nn.BatchNorm1d(1)
    nn.init.constant_(norm.bias, 0.7)
    np.testing.assert_allclose(norm(x).detach().numpy(), 0.7)
    assert bool(tm.isnan((x - x.mean()) / x.var(correction=0).sqrt()).all())
