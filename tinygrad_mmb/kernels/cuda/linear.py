"""The affine map of a layer: y = x Wᵀ + b in one launch, and its gradients."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.cuda.matmul import fits
from tinygrad_mmb.kernels.cuda.matmul_launch import product
from tinygrad_mmb.kernels.cuda.reduction import sum as add_up
from tinygrad_mmb.kernels.cuda.reduction import sums
from tinygrad_mmb.kernels.launch import cuda_kernel, is_float


def is_affine(x: Array, weight: Array, bias: Array | None) -> bool:
    """Whether the kernel takes these: a bias for each output, and sizes that fit."""
    return (
        is_float(x, weight, bias)
        and weight.ndim == 2
        and fits(x, weight.T)
        and (bias is None or (bias.shape == weight.shape[:1] and bias.flags.c_contiguous))
    )


@cuda_kernel("Linear", accepts=is_affine)
def linear(x: Array, weight: Array, bias: Array | None, activation: str | None = None) -> Array:
    """activation(x Wᵀ + b); `activation` "relu" or "gelu" at the level of kernels."""
    y = product(as_matrix(x), weight.T, bias, activation)
    return y.reshape(*x.shape[:-1], weight.shape[0])


def as_matrix(x: Array) -> Array:
    """All rows of a batch, or the only one, as one matrix."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def goes_back(
    g: Array, x: Array | None, weight: Array | None, *, needs_input_grad: list[bool]
) -> bool:
    """Whether the kernels compute these gradients."""
    return (
        g is not None
        and is_float(g, x, weight)
        and sums(g, None, False)
        and (weight is None or fits(g, weight))
        and (x is None or fits(as_matrix(g).T, as_matrix(x)))
    )


@cuda_kernel("Linear.backward", accepts=goes_back)
def linear_backward(
    g: Array, x: Array | None, weight: Array | None, *, needs_input_grad: list[bool]
) -> tuple[Any, Any, Any]:
    """∂L/∂x = g W,   ∂L/∂W = gᵀ x,   ∂L/∂b = Σ g over the rows, always in the same order."""
    need_x, need_weight, need_bias = needs_input_grad
    rows = as_matrix(g)
    gx = gw = None
    if need_x and weight is not None:  # each is saved where the other's gradient is wanted
        gx = product(rows, weight).reshape(*g.shape[:-1], weight.shape[1])
    if need_weight and x is not None:
        gw = product(rows.T, as_matrix(x))
    gb = add_up(rows, (0,), False) if need_bias else None
    return gx, gw, gb
