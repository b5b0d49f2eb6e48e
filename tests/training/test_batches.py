"""Batch size, noise and step size."""

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb import nn, optim
from tinygrad_mmb.training.batches import gradient_noise, lr_for_batch_size


@pytest.fixture
def regression():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 5))
    t = x @ rng.standard_normal((5, 1)) + rng.standard_normal((400, 1))
    tm.manual_seed(0)
    return nn.Linear(5, 1).to(dtype=tm.float64), tm.tensor(x), tm.tensor(t)


def test_batch_size_times_variance_of_the_gradient_is_constant(regression):
    model, x, t = regression
    noises = [gradient_noise(model, nn.MSELoss(), x, t, b, 400) for b in (4, 16, 64, 256)]
    residual = 2 * (model(x) - t).detach().numpy()
    g = np.concatenate([residual * x.numpy(), residual], 1)  # the gradient of each sample
    exact = np.sum(g.var(0))  # of one sample: what B · E|g_B - g|² is for every B
    for noise in noises:
        assert noise.scale == pytest.approx(exact, rel=0.2)  # 400 draws: a few per cent of noise


def test_the_mean_over_many_batches_is_the_gradient_of_the_whole_set(regression):
    model, x, t = regression
    noise = gradient_noise(model, nn.MSELoss(), x, t, 16, 1000)
    error = np.linalg.norm(noise.mean - noise.gradient)
    assert error < 3 * (noise.variance / 1000) ** 0.5  # three standard errors
    assert all(p.grad is None for p in model.parameters())


def test_noise_of_nothing_is_refused(regression):
    model, x, t = regression
    for arguments in ((x, t, 0), (x, t[:3], 4)):
        with pytest.raises(ValueError, match="batch_size"):
            gradient_noise(model, nn.MSELoss(), *arguments)


def step(reduction, lr, copies):
    """The weights after one step on a batch that holds each sample `copies` times."""
    rng = np.random.default_rng(1)
    x, t = (tm.tensor(np.tile(rng.standard_normal((8, n)), (copies, 1))) for n in (3, 1))
    tm.manual_seed(0)
    model = nn.Linear(3, 1).to(dtype=tm.float64)
    nn.MSELoss(reduction=reduction)(model(x), t).backward()
    optim.SGD(model.parameters(), lr=lr).step()
    return model.weight.detach().numpy()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_step_on_a_doubled_batch_stays_the_same(reduction):
    new = lr_for_batch_size(0.01, 8, 16, reduction)
    np.testing.assert_allclose(step(reduction, 0.01, 1), step(reduction, new, 2), rtol=1e-12)


def test_halving_the_step_of_a_mean_halves_the_update():
    start, whole, half = step("mean", 0.0, 1), step("mean", 0.01, 2), step("mean", 0.005, 2)
    np.testing.assert_allclose(half - start, (whole - start) / 2, rtol=1e-9)


def test_the_linear_rule_keeps_the_progress_of_an_epoch():
    assert lr_for_batch_size(0.1, 32, 64, "mean", "epoch") == pytest.approx(0.2)
    assert lr_for_batch_size(0.1, 32, 64, "sum", "epoch") == 0.1


@pytest.mark.parametrize(
    "arguments", [(0.1, 0, 1), (0.1, 1, 2, "max"), (0.1, 1, 2, "sum", "speed")]
)
def test_a_rule_that_is_not_there_is_refused(arguments):
    with pytest.raises(ValueError, match="lr_for_batch_size"):
        lr_for_batch_size(*arguments)
