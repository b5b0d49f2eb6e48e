"""Layers with a way around them: Residual adds what came, DenseBlock keeps all that came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.nn.activation import ReLU
from tinygrad_mmb.nn.container import Sequential
from tinygrad_mmb.nn.linear import Linear
from tinygrad_mmb.nn.module import Module


class Residual(Module):
    """y = x + block(x)   (He et al., 2016).   ∂y/∂x = I + J: the gradient always has a way through.

    Residual(Linear(8, 8), ReLU(), Linear(8, 8)) makes a Sequential of several modules.
    Raises: RuntimeError if the block changes the shape.
    """

    def __init__(self, *block: Module) -> None:
        self.block = block[0] if len(block) == 1 else Sequential(*block)

    def forward(self, x: Tensor) -> Tensor:
        y = self.block(x)
        if y.shape != x.shape:
            raise RuntimeError(
                f"Residual: the block makes {tuple(y.shape)} of {tuple(x.shape)}, so the two "
                "cannot be added. Give the block as many outputs as inputs"
            )
        return x + y

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield cls(Linear(3, 3)), rng.standard_normal((n, 3))
        yield cls(Linear(3, 5), ReLU(), Linear(5, 3)), rng.standard_normal((n, 3))


class DenseBlock(Module):
    """Each layer sees the input and the outputs of all layers before   (Huang et al., 2017).

    Shapes: x (N, in_features) → (N, in_features + layers · growth): input and outputs side by side.
    Layer k, from 0, has (in_features + k · growth) · growth weights and growth biases.
    """

    def __init__(self, in_features: int, growth: int, layers: int, activation: Any = ReLU) -> None:
        self.in_features, self.growth = in_features, growth
        self.layers = Sequential(
            *[
                Sequential(Linear(in_features + k * growth, growth), activation())
                for k in range(layers)
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = ops.cat([x, layer(x)], 1)
        return x

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, growth={self.growth}"

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield cls(2, 3, 2), rng.standard_normal((n, 2))
