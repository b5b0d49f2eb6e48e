"""The affine layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's habit
from tinygrad_mmb.nn import init
from tinygrad_mmb.nn.module import Module
from tinygrad_mmb.nn.parameter import Parameter


class Linear(Module):
    """Affine map y = x Wᵀ + b.

    Shapes: x (..., in_features) → y (..., out_features); weight (out_features, in_features), bias
    (out_features,).
    Start: weight and bias from U(-k, k), k = 1/√in_features (PyTorch's default; x W loses a
    factor 3 of variance).
    Raises: RuntimeError if the last dimension of x is not in_features.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(init.blank((out_features, in_features), dtype))
        self.bias = Parameter(init.blank((out_features,), dtype)) if bias else None
        self.reset_parameters()
        if device is not None:
            self.to(device)

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        k = 1.0 / math.sqrt(self.in_features) if self.in_features else 0.0
        init.uniform_(self.weight, -k, k)
        if self.bias is not None:
            init.uniform_(self.bias, -k, k)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield cls(3, 2), rng.standard_normal((n, 3))
        yield cls(3, 2, bias=False), rng.standard_normal((n, 2, 3))
        yield cls(3, 2), rng.standard_normal(3)
