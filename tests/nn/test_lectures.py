"""The lectures' networks and numbers, and PyTorch code that runs with only the import changed."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_mmb as torch  # the point of this file: the lines below are PyTorch's
import tinygrad_mmb.nn.functional as F  # noqa: N812
from tinygrad_mmb import nn, optim


def parameters_of(model):
    return sum(p.numel() for p in model.parameters())


class MLP(nn.Module):
    def __init__(self, d_in=3, d_hidden=128, d_out=2):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(d_in, d_hidden), nn.ReLU(), nn.Linear(d_hidden, d_out))

    def forward(self, x):
        return self.net(x)


class ResidualBlock(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d))

    def forward(self, x):
        return x + self.f(x)


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(32 * 7 * 7, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        return self.fc(torch.flatten(x, 1))


def train(model, x, y, loss_fn, lr, steps):
    """The five lines of deck 004."""
    optimizer = optim.Adam(model.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
    return loss.item()


def test_the_mlp_has_770_parameters_and_maps_3_to_2():
    assert parameters_of(MLP()) == 512 + 258 == 770
    assert MLP()(torch.randn(5, 3)).shape == (5, 2)


def test_the_cnn_has_20490_parameters_and_maps_images_to_10_classes():
    model = CNN()
    counts = [parameters_of(m) for m in (model.conv1, model.conv2, model.fc)]
    assert counts == [160, 4640, 15690] and parameters_of(model) == 20490
    assert model(torch.randn(2, 1, 28, 28)).shape == (2, 10)


def test_the_five_line_training_loop_trains_mlp_and_residual_network():
    x = torch.randn(64, 3)
    y = (x[:, 0] * x[:, 1] > 0).long()
    deep = nn.Sequential(*[ResidualBlock(3) for _ in range(4)], nn.Linear(3, 2))
    for model in (MLP(), deep):
        before = nn.CrossEntropyLoss()(model(x), y).item()
        assert train(model, x, y, nn.CrossEntropyLoss(), 0.01, 60) < 0.6 * before


def test_the_five_line_training_loop_trains_the_cnn():
    y = torch.arange(10)
    x = torch.zeros(10, 1, 28, 28)
    for i in range(10):
        x[i, 0, 2 * i : 2 * i + 4] = 1.0
    assert train(CNN(), x, y, nn.CrossEntropyLoss(), 0.01, 25) < 0.1


def test_a_residual_block_with_a_zero_last_layer_is_the_identity_there_and_back():
    block = nn.Residual(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    nn.init.zeros_(block.block[2].weight)
    nn.init.zeros_(block.block[2].bias)
    x = torch.randn(3, 4, requires_grad=True)
    g = torch.randn(3, 4)
    y = block(x)
    y.backward(g)
    np.testing.assert_array_equal(y.detach().numpy(), x.detach().numpy())
    np.testing.assert_array_equal(x.grad.numpy(), g.numpy())


def test_the_jacobian_of_a_residual_block_is_one_plus_that_of_its_inside():
    inside = nn.Sequential(nn.Linear(3, 3), nn.Tanh()).double()
    x = torch.randn(3, dtype=torch.float64)
    whole = torch.autograd.functional.jacobian(nn.Residual(inside), x).numpy()
    part = torch.autograd.functional.jacobian(inside, x).numpy()
    np.testing.assert_allclose(whole, np.eye(3) + part, atol=1e-14)


def test_two_linear_layers_are_one():
    first, second = nn.Linear(3, 5).double(), nn.Linear(5, 2).double()
    x = torch.randn(7, 3, dtype=torch.float64)
    one = x @ (second.weight @ first.weight).T + second.weight @ first.bias + second.bias
    np.testing.assert_allclose(second(first(x)).detach().numpy(), one.detach().numpy(), atol=1e-12)


def test_without_a_hidden_layer_xor_costs_ln_2_and_with_8_tanh_units_nothing():
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    t = torch.tensor([[0.0], [1.0], [1.0], [0.0]])
    loss = nn.BCEWithLogitsLoss()
    assert train(nn.Linear(2, 1), x, t, loss, 0.05, 500) == pytest.approx(math.log(2), abs=1e-4)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    assert train(model, x, t, loss, 0.1, 400) < 1e-3
    assert bool(((model(x) > 0).float() == t).all())


def test_a_dead_relu_has_no_gradient():
    unit = nn.Linear(3, 1)
    nn.init.constant_(unit.bias, -100.0)
    F.relu(unit(torch.randn(50, 3))).sum().backward()
    np.testing.assert_array_equal(unit.weight.grad.numpy(), 0.0)


def test_the_slope_of_sigmoid_is_above_a_tenth_between_minus_2_and_2():
    x = torch.tensor([0.0, 2.0, -2.0, 2.0634], dtype=torch.float64, requires_grad=True)
    nn.Sigmoid()(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0.25, 0.104994, 0.104994, 0.1], atol=1e-5)
    far = nn.Sigmoid()(torch.tensor([1000.0, -1000.0])).numpy()
    np.testing.assert_array_equal(far, [1.0, 0.0])


def test_max_pooling_gives_the_gradient_to_the_first_of_equal_values():
    x = torch.ones(1, 1, 2, 2, requires_grad=True)
    nn.MaxPool2d(2)(x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[[[1, 0], [0, 0]]]])


def test_convolution_is_the_sum_over_windows(rng):
    x, w = rng.standard_normal((2, 3, 6, 5)), rng.standard_normal((4, 3, 3, 2))
    y = F.conv2d(torch.from_numpy(x), torch.from_numpy(w)).numpy()
    for i in range(4):
        for j in range(4):
            window = x[:, None, :, i : i + 3, j : j + 2]
            np.testing.assert_allclose(y[:, :, i, j], (window * w).sum((2, 3, 4)), atol=1e-12)


def test_an_untrained_network_of_10_classes_costs_about_ln_10():
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    x, y = torch.randn(200, 64), torch.randint(0, 10, (200,))
    assert F.cross_entropy(model(x), y).item() == pytest.approx(math.log(10), rel=0.15)
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    assert F.cross_entropy(model(x), y).item() == pytest.approx(math.log(10), abs=1e-6)


def depth_30(make, scale=1.0):
    """E[h²] after 30 layers of width 512 of ReLU, started from unit normal inputs."""
    h = torch.randn(64, 512)
    for _ in range(30):
        h = F.relu(h @ (make((512, 512)) * scale).T)
    return float((h * h).mean())


@pytest.mark.slow
def test_glorots_weights_corrected_for_relu_keep_signals_over_30_layers():
    assert 0.1 < depth_30(nn.init.glorot_relu) < 3.0  # 0.69 in the notes; one draw scatters
    assert depth_30(nn.init.glorot) < 1e-8
    assert depth_30(nn.init.glorot_relu, 0.5) < 1e-17
    assert depth_30(nn.init.glorot_relu, 2.0) > 1e16


@pytest.mark.slow
def test_selu_with_lecuns_weights_keeps_mean_0_and_variance_1_over_50_layers():
    h = torch.randn(200, 512)
    for _ in range(50):
        h = F.selu(h @ nn.init.lecun((512, 512)).T)
    assert abs(float(h.mean())) < 0.1 and 0.8 < float(h.var()) < 1.25


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance_and_plain_dropout_does_not(p):
    x = torch.randn(1_000_000)
    y = nn.AlphaDropout(p)(x).numpy()
    assert abs(y.mean()) < 0.006 and abs(y.var() - 1.0) < 0.006
    assert nn.Dropout(p)(x).numpy().var() == pytest.approx(1.0 / (1.0 - p), rel=0.01)
    layer = nn.AlphaDropout(p).eval()
    assert layer(x) is x
