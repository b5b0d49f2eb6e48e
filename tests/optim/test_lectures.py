"""The numbers of the lectures on optimizers, and where a printed formula is wrong."""

import math

import numpy as np
import pytest

import tinygrad_mmb
from tinygrad_mmb import optim


def descend(algorithm, gradients, start=0.0, **options):
    """The way of one number under these gradients (or under a function of it)."""
    p = tinygrad_mmb.tensor(np.array([float(start)]), requires_grad=True)
    optimizer = algorithm([p], **options)
    way = [p.item()]
    for g in gradients:
        p.grad = tinygrad_mmb.tensor(np.array([g(p.item()) if callable(g) else float(g)]))
        optimizer.step()
        way.append(p.item())
    return np.array(way)


def steps(*args, **options):
    return -np.diff(descend(*args, **options))


def test_sgd_takes_the_hand_computed_step():
    assert descend(optim.SGD, [0.5], start=2.0, lr=0.1)[-1] == 1.95


def test_sgd_on_a_parabola_converges_only_below_two_over_the_curvature():
    curvature = 4.0

    def end(lr):
        return abs(descend(optim.SGD, [lambda x: curvature * x] * 200, start=1.0, lr=lr)[-1])

    assert end(0.49) < 0.1  # 2 / 4 is the limit
    assert end(0.50) == 1.0
    assert end(0.51) > 10


def test_polyak_momentum_steps_as_written_and_settles_at_lr_g_over_one_minus_mu():
    taken = steps(optim.SGD, [1.0] * 200, lr=0.1, momentum=0.9, momentum_form="polyak")
    np.testing.assert_allclose(taken[:3], [0.1, 0.19, 0.271], rtol=1e-12)
    assert taken[-1] == pytest.approx(0.1 / (1 - 0.9))


def test_ema_momentum_steps_as_written_and_settles_at_lr_g():
    taken = steps(optim.SGD, [1.0] * 200, lr=0.1, momentum=0.9, momentum_form="ema")
    np.testing.assert_allclose(taken[:3], [0.01, 0.019, 0.0271], rtol=1e-12)
    assert taken[-1] == pytest.approx(0.1)


GRADIENTS = list(np.random.default_rng(0).standard_normal(50))


def momentum(form, gradients=GRADIENTS, lr=0.1):
    return descend(optim.SGD, gradients, lr=lr, momentum=0.9, momentum_form=form)


def test_the_three_momenta_are_one_at_constant_rates():
    """N14: 001 equals 004; 002 equals them with η = (1 - β) α."""
    ema = momentum("ema")
    np.testing.assert_allclose(momentum("velocity_ema"), ema, atol=1e-15)
    np.testing.assert_allclose(momentum("polyak", lr=(1 - 0.9) * 0.1), ema, atol=1e-15)
    np.testing.assert_allclose(momentum("pytorch"), momentum("polyak"), atol=1e-14)


def test_polyak_moves_ten_times_as_far_as_ema_at_the_same_rate():
    np.testing.assert_allclose(momentum("polyak"), 10 * momentum("ema"), atol=1e-13)


def test_the_velocity_form_keeps_its_old_rate_after_a_change_of_lr():
    def after_a_change(form):
        p = tinygrad_mmb.tensor(np.zeros(1), requires_grad=True)
        optimizer = optim.SGD([p], lr=1.0, momentum=0.5, momentum_form=form)
        p.grad = tinygrad_mmb.tensor(np.ones(1))
        optimizer.step()
        optimizer.param_groups[0]["lr"] = 0.1
        before = p.item()
        p.grad = tinygrad_mmb.tensor(np.zeros(1))
        optimizer.step()
        return before - p.item()

    assert after_a_change("ema") == pytest.approx(0.1 * 0.25)  # lr · β m
    assert after_a_change("velocity_ema") == pytest.approx(0.25)  # β v, whatever lr is now
    assert after_a_change("polyak") == pytest.approx(0.5)
    assert after_a_change("pytorch") == pytest.approx(0.1 * 0.5)


def test_under_gradient_noise_momentum_and_plain_descent_both_get_down():
    """OP05, on C = (w₁ w₂ - 1.5)² + 0.04 (w₁² + w₂²), minimum 0.1184, with noisy gradients."""

    def run(lr, noise=0.3, **options):
        rng = np.random.default_rng(0)
        w = tinygrad_mmb.tensor(np.array([0.2, 2.0]), requires_grad=True)
        optimizer = optim.SGD([w], lr=lr, **options)
        costs = []
        for _ in range(2000):
            a, b = w.detach().numpy()
            costs.append((a * b - 1.5) ** 2 + 0.04 * (a * a + b * b))
            g = 2 * (a * b - 1.5) * np.array([b, a]) + 0.08 * np.array([a, b])
            w.grad = tinygrad_mmb.tensor(g + noise * rng.standard_normal(2))
            optimizer.step()
        return np.array(costs)

    plain = run(0.02)
    heavy = run(0.02, momentum=0.9, momentum_form="ema")
    assert plain.min() < 0.15
    assert heavy.min() < 0.15
    assert plain[1000:].var() < 0.01
    assert heavy[1000:].var() < 0.01


def narrow_valley(momentum, lr):
    """Steps until f = (x² + 100 y²) / 2 has fallen to a millionth."""
    p = tinygrad_mmb.tensor(np.array([1.0, 1.0]), requires_grad=True)
    optimizer = optim.SGD([p], lr=lr, momentum=momentum, momentum_form="polyak")
    curvature = np.array([1.0, 100.0])
    start = (curvature * p.detach().numpy() ** 2).sum()
    for step in range(1000):
        x = p.detach().numpy()
        if (curvature * x**2).sum() <= 1e-6 * start:
            return step
        p.grad = tinygrad_mmb.tensor(curvature * x)
        optimizer.step()
    return 1000


def test_momentum_crosses_a_narrow_valley_in_a_third_of_the_steps():
    plain = narrow_valley(0.0, 2 / 101)
    assert narrow_valley(0.67, 0.033) < plain / 3


def double_well(beta):
    """OP07: 3000 steps in f = x⁴/4 - 0.0667 x³ - x²/2 - 0.15 x from -1.9."""

    def slope(x):
        return x**3 - 0.2001 * x**2 - x - 0.15

    options = {"momentum": beta, "momentum_form": "polyak"} if beta else {}
    return descend(optim.SGD, [slope] * 3000, start=-1.9, lr=0.02, **options)[-1]


@pytest.mark.parametrize(
    ("beta", "end"), [(0.0, -0.807932), (0.8, -0.807932), (0.9, 1.167020), (0.95, 1.167020)]
)
def test_enough_momentum_leaves_the_shallow_well(beta, end):
    assert double_well(beta) == pytest.approx(end, abs=1e-4)


def test_adagrad_steps_shorten_with_the_root_of_time():
    taken = steps(optim.Adagrad, [3.0] * 100, lr=0.1)
    np.testing.assert_allclose(taken, 0.1 / np.sqrt(np.arange(1, 101)), rtol=1e-9)
    assert taken[99] == pytest.approx(0.1 / 10)


def test_rmsprop_begins_long_and_settles_at_lr():
    taken = steps(optim.RMSprop, [2.0] * 400, lr=0.01, alpha=0.9)
    assert taken[0] == pytest.approx(0.01 / math.sqrt(1 - 0.9))  # 3.162 lr: no bias correction
    assert taken[-1] == pytest.approx(0.01)


def test_adam_takes_steps_of_lr_under_a_constant_gradient():
    np.testing.assert_allclose(steps(optim.Adam, [5.0] * 50, lr=0.01), 0.01, rtol=1e-8)


def test_adam_follows_the_recursion_of_the_paper():
    m = v = x = 0.0
    expected = [0.0]
    for t, g in enumerate(GRADIENTS, start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
        x -= 0.01 * m_hat / (math.sqrt(v_hat) + 1e-8)
        expected.append(x)
    np.testing.assert_allclose(descend(optim.Adam, GRADIENTS, lr=0.01), expected, atol=1e-15)


@pytest.mark.parametrize(
    ("g", "mode", "share"),
    [
        (1e-4, "outside", 0.99990),
        (1e-4, "inside", 0.70711),
        (1e-8, "outside", 0.5),
        (1e-8, "inside", 1e-4),
    ],
)
def test_eps_inside_the_root_shortens_the_first_step_of_small_gradients(g, mode, share):
    (taken,) = steps(optim.Adam, [g], lr=1.0, eps_mode=mode)
    assert taken == pytest.approx(share, rel=1e-5)


def test_erratum_bias_correction_belongs_behind_the_recursion():
    """Erratum 10, N16b: the slide divides m by (1 - βᵗ) within the recursion, and m blows up."""
    gamma, beta = 0.9, 0.999
    m = nu = 0.0
    printed_m, printed_nu = [], []
    for t in (1, 2, 3, 4):
        m = (gamma * m + (1 - gamma) * 1.0) / (1 - gamma**t)
        nu = (beta * nu + (1 - beta) * 1.0) / (1 - beta**t)
        printed_m.append(m)
        printed_nu.append(nu)
    np.testing.assert_allclose(printed_m, [1.0, 5.263, 17.848, 47.0], rtol=1e-3)
    np.testing.assert_allclose(printed_nu[:3], [1.0, 500.3, 1.67e5], rtol=1e-2)

    p = tinygrad_mmb.tensor(np.zeros(1), requires_grad=True)
    optimizer = optim.Adam([p])
    for t in (1, 2, 3, 4):
        p.grad = tinygrad_mmb.tensor(np.ones(1))
        optimizer.step()
        state = optimizer.state[p]
        assert state["exp_avg"].item() / (1 - gamma**t) == pytest.approx(1.0)
        assert state["exp_avg_sq"].item() / (1 - beta**t) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [(optim.Adagrad, {}), (optim.RMSprop, {}), (optim.Adam, {}), (optim.AdamW, {})],
)
def test_erratum_the_root_makes_steps_independent_of_the_scale_of_the_gradient(algorithm, options):
    """Erratum 10: without the root, as extracted, ten times g gives a tenth of the step."""
    small = steps(algorithm, GRADIENTS[:10], lr=0.01, eps=0.0, weight_decay=0, **options)
    large = steps(algorithm, [10 * g for g in GRADIENTS[:10]], lr=0.01, eps=0.0, weight_decay=0)
    np.testing.assert_allclose(large, small, rtol=1e-9)
    without_root = [0.01 * g / g**2 for g in (GRADIENTS[0], 10 * GRADIENTS[0])]
    assert without_root[1] == pytest.approx(without_root[0] / 10)


def test_erratum_adam_can_step_further_than_lr():
    """Erratum 12, N17b: 3.162 lr after many zeros; 7.26 lr when gradients grow by β₂ / β₁."""
    after_zeros = steps(optim.Adam, [0.0] * 20000 + [1.0], lr=1.0, eps=1e-30)[-1]
    assert after_zeros == pytest.approx((1 - 0.9) / math.sqrt(1 - 0.999), rel=1e-3)
    assert after_zeros == pytest.approx(3.1623, abs=1e-3)
    growth = 0.999 / 0.9
    waited = [0.0] * 8000  # until 1 - β₂ᵗ is 1
    growing = steps(optim.Adam, waited + [growth**k for k in range(200)], lr=1.0, eps=1e-30)
    assert growing.max() == pytest.approx(7.26, abs=0.01)
    assert growing.max() < 7.2703


def test_erratum_weight_decay_shrinks_by_the_rate_too():
    """Erratum 2, N18b: L = ... + β w² gives w ← (1 - 2αβ) w - αg, not (1 - 2β) w - αg."""
    w, alpha, beta, g = 2.0, 0.1, 0.01, 0.5
    (_, moved) = descend(optim.SGD, [g], start=w, lr=alpha, weight_decay=2 * beta)
    assert moved == pytest.approx(1.946)
    assert (1 - 2 * beta) * w - alpha * g == pytest.approx(1.91)  # as printed

    p = tinygrad_mmb.tensor(np.array([w]), requires_grad=True)
    (g * p + beta * p * p).sum().backward()  # the penalty in the loss
    optim.SGD([p], lr=alpha).step()
    assert p.item() == pytest.approx(1.946)


def test_decay_in_the_loss_is_not_decoupled_decay_for_adam():
    coupled = descend(optim.Adam, [1.0], start=2.0, lr=0.1, weight_decay=0.1)[-1]
    decoupled = descend(optim.AdamW, [1.0], start=2.0, lr=0.1, weight_decay=0.1)[-1]
    assert coupled == pytest.approx(2.0 - 0.1)  # the first step is lr, whatever is added to g
    assert decoupled == pytest.approx(2.0 * (1 - 0.1 * 0.1) - 0.1)
    idle = descend(optim.AdamW, [0.0], start=2.0, lr=0.1, weight_decay=0.01)[-1]
    assert idle == pytest.approx(2.0 * (1 - 0.1 * 0.01))


def gradient_of_batch(x, t, w, reduction):
    p = tinygrad_mmb.tensor(np.array([w]), requires_grad=True)
    squares = (tinygrad_mmb.tensor(x) * p - tinygrad_mmb.tensor(t)) ** 2
    (squares.sum() if reduction == "sum" else squares.mean()).backward()
    return p.grad.item()


def test_erratum_halving_the_rate_for_a_doubled_batch_is_for_summed_losses_only():
    """Erratum 3, TR04: the rule of the slide belongs to the summed loss it prints."""
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal(8), rng.standard_normal(8)
    twice = (np.tile(x, 2), np.tile(t, 2))
    alpha, w = 0.1, 0.7
    single = {r: alpha * gradient_of_batch(x, t, w, r) for r in ("sum", "mean")}
    doubled = {r: gradient_of_batch(*twice, w, r) for r in ("sum", "mean")}
    assert alpha / 2 * doubled["sum"] == pytest.approx(single["sum"])
    assert alpha * doubled["mean"] == pytest.approx(single["mean"])
    assert alpha / 2 * doubled["mean"] == pytest.approx(single["mean"] / 2)


def test_the_noise_of_a_batch_gradient_falls_with_the_batch_and_its_mean_is_the_full_gradient():
    """TR03: B · E|g_B - g|² does not depend on B."""
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal(20000), rng.standard_normal(20000)
    w = 0.5
    slopes = 2 * x * (x * w - t)  # what one sample adds to the gradient of the mean loss
    assert gradient_of_batch(x, t, w, "mean") == pytest.approx(slopes.mean())
    scaled = []
    for batch in (4, 16, 64, 256):
        means = rng.choice(slopes, (3000, batch)).mean(axis=1)
        assert means.mean() == pytest.approx(
            slopes.mean(), abs=5 * slopes.std() / np.sqrt(3000 * batch)
        )
        scaled.append(batch * ((means - slopes.mean()) ** 2).mean())
    np.testing.assert_allclose(scaled, slopes.var(), rtol=0.2)


def cost(w):
    return (w[0] * w[1] - 1.5) ** 2 + 0.04 * (w[0] ** 2 + w[1] ** 2)


def tiny_example(start, lr, n):
    """N12: gradient descent of the engine on C = (w₁ w₂ - 1.5)² + 0.04 (w₁² + w₂²)."""
    w = tinygrad_mmb.tensor(np.array(start), requires_grad=True)
    optimizer = optim.SGD([w], lr=lr)
    way = [w.detach().numpy().copy()]
    for _ in range(n):
        optimizer.zero_grad()
        c = (w[0] * w[1] - 1.5) ** 2 + 0.04 * (w[0] ** 2 + w[1] ** 2)
        c.backward()
        optimizer.step()
        way.append(w.detach().numpy().copy())
    return np.array(way)


@pytest.mark.parametrize(("start", "steps"), [((0.2, 2.0), 102), ((0.5, 1.0), 94)])
def test_the_tiny_example_creeps_to_its_minimum_at_a_quarter(start, steps):
    way = tiny_example(start, 0.25, 300)
    errors = np.array([cost(w) for w in way]) - 0.1184
    assert int(np.argmax(errors < 1e-6)) == steps
    assert np.abs(way[-1]) == pytest.approx(math.sqrt(1.46), abs=1e-5)
    late = way[60:120] - way[-1]
    shrink = np.linalg.norm(late[1:], axis=1) / np.linalg.norm(late[:-1], axis=1)
    assert shrink[-1] == pytest.approx(0.96, abs=5e-3)  # 1 - 0.25 · 0.16, the slow direction


def test_the_tiny_example_ends_in_a_two_cycle_at_035():
    """2 / 5.84 = 0.3425 is the limit of stability: at 0.35 the minimum repels."""
    way = tiny_example((0.2, 2.0), 0.35, 4000)
    last = np.sort(np.abs(way[-2:, 0]))
    np.testing.assert_allclose(last, [1.109870, 1.287152], atol=1e-5)
    costs = np.array([cost(w) for w in way])
    np.testing.assert_allclose(np.sort(costs[-2:]), [0.157114, 0.170470], atol=1e-5)
    assert (np.diff(costs[:201]) > 0).sum() >= 90
