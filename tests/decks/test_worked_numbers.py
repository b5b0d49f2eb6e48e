"""Numbers and rules of the lectures that no test of a single op or layer shows."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb import nn
from tinygrad_mmb.data import DataLoader, TensorDataset
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's name


def test_a_row_of_a_batch_is_answered_as_if_it_were_alone():  # TE02
    mlp = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.BatchNorm1d(16), nn.Linear(16, 2)).double()
    x = tm.randn(7, 3, dtype=tm.float64)
    mlp(x)
    mlp.eval()
    assert mlp(x).shape == (7, 2)
    for i in range(7):
        alone = mlp(x[i : i + 1])[0].detach().numpy()
        np.testing.assert_allclose(mlp(x)[i].detach().numpy(), alone, atol=1e-14)


def test_splitting_and_merging_axes_undo_each_other_there_and_back():  # TE09
    """'b s (h d) -> b h s d' of the lectures, as reshape and permute."""
    x = tm.randn(2, 5, 12, dtype=tm.float64, requires_grad=True)
    heads = x.reshape(2, 5, 3, 4).permute(0, 2, 1, 3)
    assert heads.shape == (2, 3, 5, 4)
    assert heads[1, 2, 3, 1].item() == x[1, 3, 2 * 4 + 1].item()
    back = heads.permute(0, 2, 1, 3).reshape(2, 5, 12)
    np.testing.assert_array_equal(back.detach().numpy(), x.detach().numpy())
    g = tm.randn(2, 3, 5, 4, dtype=tm.float64)
    heads.backward(g)
    np.testing.assert_array_equal(x.grad.numpy(), g.permute(0, 2, 1, 3).reshape(2, 5, 12).numpy())


def test_the_largest_of_split_axes_is_max_pooling():  # TE10
    x = tm.randn(2, 3, 4, 6)
    by_axes = x.reshape(2, 3, 2, 2, 3, 2).amax((3, 5))
    np.testing.assert_array_equal(by_axes.numpy(), F.max_pool2d(x, 2).numpy())


def test_the_gradient_of_copies_is_their_sum():  # TE11
    x = tm.randn(4, 5, dtype=tm.float64, requires_grad=True)
    copies = x.unsqueeze(-1).expand(4, 5, 3)
    np.testing.assert_array_equal(
        copies.detach().numpy(), np.repeat(x.tolist(), 3).reshape(4, 5, 3)
    )
    g = tm.randn(4, 5, 3, dtype=tm.float64)
    copies.backward(g)
    np.testing.assert_allclose(x.grad.numpy(), g.numpy().sum(-1))


def test_constants_inputs_and_frozen_parameters_are_not_trained():  # AG09
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    model[0].requires_grad_(False)
    trained = [p for p in model.parameters() if p.requires_grad]
    assert len(trained) == 2
    before = {name: p.detach().numpy().copy() for name, p in model.named_parameters()}
    x = tm.randn(5, 3)
    model(x).sum().backward()
    tm.optim.SGD(model.parameters(), lr=0.1).step()
    assert x.grad is None
    for name, p in model.named_parameters():
        assert (p.grad is None) == name.startswith("0.")
        assert np.array_equal(p.detach().numpy(), before[name]) == name.startswith("0.")


def test_the_gradient_of_thirty_sigmoid_layers_vanishes_and_residuals_keep_it():  # AR07
    def ratio(blocks):
        model = nn.Sequential(nn.Linear(2, 32), *blocks, nn.Linear(32, 2)).double()
        x, t = tm.randn(64, 2, dtype=tm.float64), tm.arange(64) % 2
        F.cross_entropy(model(x), t).backward()
        norms = [p.grad.norm().item() for p in model.parameters() if p.shape == (32, 32)]
        assert len(norms) == 30
        return norms[0] / norms[-1]

    def residual():
        return nn.Residual(nn.Linear(32, 32), nn.Sigmoid(), nn.Linear(32, 32))

    plain = [m for _ in range(30) for m in (nn.Linear(32, 32), nn.Sigmoid())]
    assert ratio(plain) < 1e-15
    assert 0.02 < ratio([residual() for _ in range(15)]) < 1


def test_a_saw_of_128_pieces_takes_14_relus_in_7_layers():  # AR13
    def tent(x):
        return 2 * F.relu(x) - 4 * F.relu(x - 0.5)

    x = tm.linspace(0, 1, 1025, dtype=tm.float64, requires_grad=True)
    y = x
    for _ in range(7):
        y = tent(y)
    y.sum().backward()
    middles = tm.arange(128, dtype=tm.int64) * 8 + 4
    slopes = x.grad[middles].numpy()
    np.testing.assert_array_equal(slopes, np.where(np.arange(128) % 2, -128.0, 128.0))


def test_a_network_that_knows_nothing_costs_ln_10_exactly():  # N05, IN05
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 10)).double()
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    loss = F.cross_entropy(model(tm.randn(6, 5, dtype=tm.float64)), tm.arange(6))
    assert loss.item() == pytest.approx(math.log(10), abs=1e-14)
    assert round(math.log(10), 3) == 2.303


def test_scaled_jets_are_laid_out_in_800_features():  # N18, N28
    """200 constituents with 4 numbers each: scaled by feature, then flattened."""
    x = tm.randn(3, 200, 4, dtype=tm.float64)
    means, deviations = x.mean((0, 1)), x.std((0, 1))
    y = nn.Flatten()((x - means) / deviations)
    assert y.shape == (3, 800)
    np.testing.assert_allclose(y[1, 4 * 7 + 2].item(), ((x[1, 7] - means) / deviations)[2].item())


def test_61000_samples_make_239_batches_of_256_with_a_rest():  # TR02
    dataset = TensorDataset(tm.zeros(61_000, 1))
    assert len(DataLoader(dataset, batch_size=256)) == 239
    assert len(DataLoader(dataset, batch_size=256, drop_last=True)) == 238
    *_, (last,) = DataLoader(dataset, batch_size=256)
    assert len(last) == 61_000 - 238 * 256


def test_adam_settles_at_a_minimum_when_its_rate_decays():  # OP16
    w = tm.tensor([3.0], dtype=tm.float64, requires_grad=True)
    optimizer = tm.optim.Adam([w], lr=0.1)
    schedule = tm.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.99)
    for _ in range(2000):
        before = w.item()
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
        schedule.step()
    assert abs(w.item() - before) < 1e-6 * 0.1
    assert abs(w.item()) < 1e-4
