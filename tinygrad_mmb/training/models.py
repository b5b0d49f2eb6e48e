"""The models of `mmb train`: two small classifiers, written to be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import nn
from tinygrad_mmb.autograd.tensor import Tensor, tensor
from tinygrad_mmb.backend import Array


class ResidualMLP(nn.Module):
    """Linear, ReLU, one residual block, Linear: logits of `classes` classes.

        h = dropout(relu(W₁ x + b₁))
        h = relu(h + W₃ dropout(relu(W₂ h + b₂)) + b₃)        the block: x + f(x)
        y = W₄ dropout(h) + b₄

    Shapes: x (N, ...) with `in_features` numbers per sample → y (N, classes).
    """

    def __init__(
        self, in_features: int, classes: int, width: int = 256, dropout: float = 0.3
    ) -> None:
        self.body = nn.Sequential(
            nn.Flatten(),
            nn.Linear(in_features, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Residual(
                nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, width)
            ),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield cls(6, 3, width=4), rng.standard_normal((n, 2, 3))


class CNN(nn.Module):
    """Three 3 x 3 convolutions with batch normalisation, a halving of the image after the second,
    and one Linear.

    Shapes: x (N, channels, height, width) → y (N, classes).   Each layer keeps height and width by
    a border of zeros.
    """

    def __init__(
        self,
        image: tuple[int, int, int],
        classes: int,
        width: int = 16,
        dropout: float = 0.3,
    ) -> None:
        channels, height, breadth = image

        def block(inputs: int, outputs: int) -> list[nn.Module]:
            # no bias: the normalisation after it would subtract it again
            convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
            return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]

        self.features = nn.Sequential(
            *block(channels, width),
            *block(width, 2 * width),
            nn.MaxPool2d(2),
            nn.Dropout(dropout),
            *block(2 * width, 2 * width),
            nn.Flatten(),
            nn.Dropout(dropout),
        )
        self.head = nn.Linear(2 * width * (height // 2) * (breadth // 2), classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield cls((1, 4, 6), 3, width=2), rng.standard_normal((n, 1, 4, 6))


class Standardize(nn.Module):
    """y = (x - mean) / std, feature by feature, with the numbers of the training set: they are
    saved with the weights.

    Shapes: x (N, D), mean and std (D,) → y (N, D).   A constant feature, of std 0, is only centred.
    """

    def __init__(self, mean: Array, std: Array) -> None:
        self.register_buffer("mean", tensor(mean))
        self.register_buffer("scale", tensor(1.0 / (std + (std == 0))))
        self.mean: Tensor
        self.scale: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) * self.scale

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield cls(rng.standard_normal(2), abs(rng.standard_normal(2))), rng.standard_normal((n, 2))
