"""Layers as functions, under PyTorch's names: `F.linear(x, weight)`. The mathematics is in ops."""

from __future__ import annotations

import warnings
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import inplace as writing
from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.ops.activation import elu, gelu, leaky_relu, selu, silu, softplus
from tinygrad_mmb.ops.attention import scaled_dot_product_attention
from tinygrad_mmb.ops.binary_cross_entropy import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
)
from tinygrad_mmb.ops.convolution import conv2d
from tinygrad_mmb.ops.cross_entropy import cross_entropy, nll_loss
from tinygrad_mmb.ops.dropout import alpha_dropout, dropout, dropout1d, dropout2d
from tinygrad_mmb.ops.embedding import embedding, one_hot
from tinygrad_mmb.ops.linear import linear
from tinygrad_mmb.ops.loss import l1_loss, mse_loss
from tinygrad_mmb.ops.normalization import batch_norm, layer_norm
from tinygrad_mmb.ops.padding import pad
from tinygrad_mmb.ops.pooling import avg_pool2d, max_pool2d

__all__ = [
    "alpha_dropout",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "cross_entropy",
    "dropout",
    "dropout1d",
    "dropout2d",
    "elu",
    "embedding",
    "gelu",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "pad",
    "relu",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0)."""
    return writing.update(input, ops.relu) if inplace else ops.relu(input)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + e⁻ˣ)."""
    return ops.sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return ops.tanh(input)


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """eˣ / Σ eˣ over a dimension. Say which: dim=None guesses, with a warning."""
    dim = guessed_dim("softmax", input.ndim, _stacklevel) if dim is None else dim
    return ops.softmax(input, dim, dtype=dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """ln softmax(x) over a dimension. Say which: dim=None guesses, with a warning."""
    dim = guessed_dim("log_softmax", input.ndim, _stacklevel) if dim is None else dim
    return ops.log_softmax(input, dim, dtype=dtype)


def guessed_dim(name: str, ndim: int, stacklevel: int) -> int:
    """PyTorch's guess: the first dimension of 0-, 1- and 3-D tensors, else the second."""
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Include dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if ndim in (0, 1, 3) else 1
