"""Small training steps, of the kinds that are measured, for the tests of capture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_mmb as tm
from tinygrad_mmb import nn, optim
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's habit


@dataclass
class Training:
    """A step, what it trains, and batches for it."""

    step: Callable[..., Any]
    model: nn.Module
    optimizer: optim.Optimizer | None
    batches: list[tuple[tm.Tensor, tm.Tensor]]

    def run(self, steps: int, captured: Any = None) -> list[float]:
        """The losses of so many steps."""
        call = self.step if captured is None else captured
        n = len(self.batches)
        return [float(call(*self.batches[k % n]).array) for k in range(steps)]

    def numbers(self) -> dict[str, np.ndarray]:
        """Everything that training changes: parameters, gradients, buffers, states."""
        found = {f"p {k}": p.array for k, p in self.model.named_parameters()}
        found |= {f"b {k}": b.array for k, b in self.model.named_buffers()}
        found |= {
            f"g {k}": p.grad.array for k, p in self.model.named_parameters() if p.grad is not None
        }
        if self.optimizer is not None:
            for i, state in enumerate(self.optimizer.state.values()):
                found |= {f"s {i} {k}": v.array for k, v in state.items()}
        return {k: v.copy() for k, v in found.items()}


class Residual(nn.Module):
    """h + W₂ relu(W₁ h)."""

    def __init__(self, width: int) -> None:
        self.a = nn.Linear(width, width)
        self.b = nn.Linear(width, width)

    def forward(self, h: tm.Tensor) -> tm.Tensor:
        return h + self.b(F.relu(self.a(h)))


class Recurrent(nn.Module):
    """h ← tanh(W x + U h) along x, whose weights take part each time; the last h, classified."""

    def __init__(self, features: int, width: int, classes: int) -> None:
        self.w = nn.Linear(features, width)
        self.u = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: tm.Tensor) -> tm.Tensor:
        h = F.relu(self.w(x[:, 0]))
        for k in range(1, x.shape[1]):
            h = tm.tanh(self.w(x[:, k]) + self.u(h))
        return self.head(h)


def adam(parameters: Any) -> optim.Optimizer:
    return optim.Adam(parameters, lr=1e-2)


def batches(rng: np.random.Generator, shape: tuple[int, ...], classes: int) -> list[Any]:
    return [
        (
            tm.tensor(rng.standard_normal(shape).astype(np.float32)),
            tm.tensor(rng.integers(0, classes, shape[0])),
        )
        for _ in range(3)
    ]


KINDS = ("mlp", "residual", "cnn", "batch norm", "dropout", "recurrent")


def network(kind: str) -> tuple[nn.Module, tuple[int, ...]]:
    """A model and the shape of a batch for it."""
    if kind == "mlp":
        return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 5)), (8, 12)
    if kind == "residual":
        return nn.Sequential(*[Residual(12) for _ in range(4)], nn.Linear(12, 5)), (8, 12)
    if kind == "cnn":
        layers = (nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                  nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))  # fmt: skip
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * 4, 5)), (6, 1, 8, 8)
    if kind == "batch norm":
        layers = (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())  # fmt: skip
        return nn.Sequential(*layers, nn.Linear(4 * 16, 5), nn.BatchNorm1d(5)), (6, 1, 6, 6)
    if kind == "dropout":
        layers = (nn.Linear(12, 16), nn.GELU(), nn.Dropout(0.3), nn.LayerNorm(16), nn.Dropout(0.5))
        return nn.Sequential(*layers, nn.Linear(16, 5)), (8, 12)
    if kind == "recurrent":
        return Recurrent(6, 8, 5), (8, 4, 6)
    raise KeyError(kind)


def training(
    kind: str = "mlp",
    optimizer: Callable[[Any], optim.Optimizer] = adam,
    before_step: Callable[[Training, tm.Tensor], None] = lambda t, loss: None,
) -> Training:
    """A whole step: zero_grad, forward, loss, backward, `before_step`, update."""
    tm.manual_seed(0)
    model, shape = network(kind)
    own = optimizer(model.parameters())

    def step(x: tm.Tensor, y: tm.Tensor) -> tm.Tensor:
        own.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        before_step(made, loss)
        own.step()
        return loss

    made = Training(step, model, own, batches(np.random.default_rng(1), shape, 5))
    return made


def assert_same(a: Training, b: Training) -> None:
    """Bit for bit: parameters, gradients, buffers, states."""
    x, y = a.numbers(), b.numbers()
    assert x.keys() == y.keys()
    different = [k for k in x if x[k].tobytes() != y[k].tobytes()]
    assert different == []
