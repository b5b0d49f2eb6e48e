"""A small training on a device, and how two runs of it are compared."""

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb import nn, optim
from tinygrad_mmb.nn import functional

on_device = pytest.mark.device_only


class Training:
    """An MLP with dropout, its optimizer and schedule."""

    def __init__(self, make=optim.Adam, p=0.3, **options):
        tm.manual_seed(3)
        self.model = nn.Sequential(
            nn.Linear(6, 16), nn.ReLU(), nn.Dropout(p), nn.Linear(16, 3), nn.Dropout(p)
        )
        self.optimizer = make(self.model.parameters(), lr=0.05, **options)
        self.schedule = optim.lr_scheduler.ExponentialLR(self.optimizer, 0.8)

    def step(self, x, t):
        self.optimizer.zero_grad()
        loss = functional.mse_loss(self.model(x), t)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 0.5)
        self.optimizer.step()
        self.schedule.step()
        return loss

    def numbers(self):
        return [host(p) for p in self.model.parameters()] + [
            host(p.grad) for p in self.model.parameters()
        ]


def plain_and_captured(make, **options):
    """A training with its step as it is, then the same with its step captured."""
    for wrap in (lambda step: step, tm.capture):
        training = make(**options)
        yield training, wrap(training.step)


def host(x):
    return np.array(x.detach().cpu().tolist(), np.float32)


def batches(count, n=8):
    rng = np.random.default_rng(5)
    return [
        (tm.tensor(rng.standard_normal((n, 6)), dtype=tm.float32),
         tm.tensor(rng.standard_normal((n, 3)), dtype=tm.float32))
        for _ in range(count)
    ]  # fmt: skip


def trained(training, step, data):
    """Losses of the steps, and the parameters and gradients after each."""
    return [(host(step(x, t)), training.numbers()) for x, t in data]


def assert_same(found, expected):
    # the same formulas in the same order; on a GPU an update is a twin in one and not in the other
    for k, ((loss, numbers), (loss0, numbers0)) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_allclose(loss, loss0, rtol=1e-5, err_msg=f"loss of step {k}")
        for a, b in zip(numbers, numbers0, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6, err_msg=f"step {k}")


class Counting(nn.Module):
    """Counts its calls, which nothing depends on."""

    def __init__(self):
        self.calls = 0
        self.scale = 2.0

    def forward(self, x):
        self.calls += 1
        return x * self.scale
