"""Newton and Levenberg on C = (w₁ w₂ - 1.5)² + 0.04 (w₁² + w₂²)  (N12, SO01, SO04 to SO06).

Descent on it is in tests/optim/test_lectures.py.
"""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb.autograd.functional import hessian, jacobian


def cost(w):
    return (w[0] * w[1] - 1.5) ** 2 + 0.04 * (w[0] ** 2 + w[1] ** 2)


def point(*values):
    return tm.tensor(values, dtype=tm.float64)


def step(w, mu=0.0):
    """-(H + μ I)⁻¹ g at w."""
    damped = hessian(cost, w) + mu * tm.eye(2, dtype=tm.float64)
    return -(tm.linalg.inv(damped) @ jacobian(cost, w))


def way(start, steps, mu=0.0):
    w = point(*start)
    rows = [w.tolist()]
    for _ in range(steps):
        w = w + step(w, mu)
        rows.append(w.tolist())
    return np.array(rows)


def test_the_gradient_is_the_analytic_one_and_vanishes_at_minima_and_saddle():  # SO01
    a, b = 0.7, -1.3
    slope = 2 * (a * b - 1.5)
    expected = [slope * b + 0.08 * a, slope * a + 0.08 * b]
    np.testing.assert_allclose(jacobian(cost, point(a, b)).numpy(), expected, rtol=1e-14)
    r = 1.46**0.5
    for place, c in (((r, r), 0.1184), ((-r, -r), 0.1184), ((0.0, 0.0), 2.25)):
        np.testing.assert_allclose(jacobian(cost, point(*place)).numpy(), 0.0, atol=1e-12)
        assert cost(point(*place)).item() == pytest.approx(c, abs=1e-12)


def test_newton_ends_at_the_saddle_or_at_the_minimum():  # SO04
    caught = way((0.2, 2.0), 12)
    np.testing.assert_allclose(caught[-1], 0.0, atol=1e-6)
    assert cost(point(*caught[-1])).item() == pytest.approx(2.25)
    assert np.abs(caught[9]).max() > 1  # and not long before
    found = way((0.5, 1.0), 16)
    np.testing.assert_allclose(np.abs(found[-1]), 1.46**0.5, atol=1e-6)


def test_an_uphill_newton_step_is_seen_by_its_sign():  # SO04
    g = jacobian(cost, point(0.2, 2.0))
    assert (g @ step(point(0.2, 2.0))).item() > 0  # g · H⁻¹ g < 0: uphill
    g = jacobian(cost, point(1.3, 1.2))
    assert (g @ step(point(1.3, 1.2))).item() < 0


@pytest.mark.parametrize("start", [(0.2, 2.0), (0.5, 1.0), (-0.3, 0.1), (2.0, 0.0)])
def test_levenbergs_damping_reaches_a_minimum_from_everywhere(start):  # SO05
    np.testing.assert_allclose(np.abs(way(start, 400, mu=4.0)[-1]), 1.46**0.5, atol=1e-5)


def test_more_damping_turns_the_step_towards_steepest_descent():  # SO05
    w = point(0.2, 2.0)
    g = jacobian(cost, w).numpy()
    angles = []
    for mu in (4.0, 8.0, 32.0, 1e3, 1e6):
        d = step(w, mu).numpy()
        cosine = -(g @ d) / np.linalg.norm(g) / np.linalg.norm(d)
        angles.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    assert angles == sorted(angles, reverse=True)
    assert angles[-1] < 1e-2


def test_newton_solves_a_quadratic_in_one_step_and_descent_shrinks_each_mode():  # SO06
    a = tm.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=tm.float64)

    def bowl(w):
        return 0.5 * (w @ (a @ w))

    w = point(1.0, -2.0)
    newton = w - tm.linalg.inv(hessian(bowl, w)) @ jacobian(bowl, w)
    np.testing.assert_allclose(newton.numpy(), 0.0, atol=1e-14)
    values, vectors = np.linalg.eigh(a.numpy())
    moved = (w - 0.1 * jacobian(bowl, w)).numpy()
    np.testing.assert_allclose(vectors.T @ moved, (1 - 0.1 * values) * (vectors.T @ w.numpy()))
