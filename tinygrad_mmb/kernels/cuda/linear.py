"""The affine map of a layer, with the activation after it or none, in one launch; its gradients."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.cuda.bias_activation import through_activation
from tinygrad_mmb.kernels.cuda.elementwise import GELU
from tinygrad_mmb.kernels.cuda.matmul import fits
from tinygrad_mmb.kernels.cuda.matmul_launch import product
from tinygrad_mmb.kernels.cuda.reduction import sum as add_up
from tinygrad_mmb.kernels.cuda.reduction import sums
from tinygrad_mmb.kernels.launch import cuda_kernel, is_float
from tinygrad_mmb.kernels.launch.rows import as_matrix


def is_affine(x: Array, weight: Array, bias: Array | None) -> bool:
    """Whether the kernel takes these: a bias for each output, and sizes that fit."""
    return (
        is_float(x, weight, bias)
        and weight.ndim == 2
        and fits(x, weight.T)
        and (bias is None or (bias.shape == weight.shape[:1] and bias.flags.c_contiguous))
    )


@cuda_kernel("Linear", accepts=is_affine)
def linear(x: Array, weight: Array, bias: Array | None) -> Array:
    return affine(x, weight, bias)


@cuda_kernel("LinearRelu", accepts=is_affine)
def linear_relu(x: Array, weight: Array, bias: Array | None) -> Array:
    return affine(x, weight, bias, "relu")


@cuda_kernel("LinearGelu", accepts=lambda x, weight, bias, approximate: is_affine(x, weight, bias))
def linear_gelu(
    x: Array, weight: Array, bias: Array | None, approximate: str
) -> tuple[Array, Array]:
    """(y, z): the kernel stores z, from which the way back starts, and then y."""
    z: Array = namespace(x).empty((*x.shape[:-1], weight.shape[0]), x.dtype)
    return affine(x, weight, bias, GELU[approximate], z), z


def affine(
    x: Array,
    weight: Array,
    bias: Array | None,
    activation: str | None = None,
    z: Array | None = None,
) -> Array:
    """activation(x Wᵀ + b), and what it is applied to in `z`."""
    y = product(as_matrix(x), weight.T, bias, activation, None if z is None else as_matrix(z))
    return y.reshape(*x.shape[:-1], weight.shape[0])


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
    gb = add_up(as_matrix(g), (0,), False) if needs_input_grad[2] else None
    return *gradients_of_factors(g, x, weight, needs_input_grad), gb


def gradients_of_factors(
    g: Array, x: Array | None, weight: Array | None, needs_input_grad: list[bool]
) -> tuple[Any, Any]:
    """∂L/∂x and ∂L/∂W; each is saved where the other's gradient is wanted."""
    need_x, need_weight, *_ = needs_input_grad
    rows = as_matrix(g)
    gx = gw = None
    if need_x and weight is not None:
        gx = product(rows, weight).reshape(*g.shape[:-1], weight.shape[1])
    if need_weight and x is not None:
        gw = product(rows.T, as_matrix(x))
    return gx, gw


def relu_goes_back(
    g: Array, x: Array | None, weight: Array | None, y: Array, *, needs_input_grad: list[bool]
) -> bool:
    """Whether the kernels compute these gradients."""
    return is_float(g, y) and goes_back(g, x, weight, needs_input_grad=needs_input_grad)


@cuda_kernel("LinearRelu.backward", accepts=relu_goes_back)
def linear_relu_backward(
    g: Array, x: Array | None, weight: Array | None, y: Array, *, needs_input_grad: list[bool]
) -> tuple[Any, Any, Any]:
    dz, gb = through_activation("relu", g, y, needs_input_grad[2])
    return *gradients_of_factors(dz, x, weight, needs_input_grad), gb


def gelu_goes_back(
    g: Array | None,
    g_z: Array | None,
    x: Array | None,
    weight: Array | None,
    z: Array,
    approximate: str,
    *,
    needs_input_grad: list[bool],
) -> bool:
    """Whether the kernels compute these gradients: of y alone, as z is nobody's result."""
    return (
        g_z is None
        and g is not None
        and relu_goes_back(g, x, weight, z, needs_input_grad=needs_input_grad)
    )


@cuda_kernel("LinearGelu.backward", accepts=gelu_goes_back)
def linear_gelu_backward(
    g: Array,
    g_z: None,
    x: Array | None,
    weight: Array | None,
    z: Array,
    approximate: str,
    *,
    needs_input_grad: list[bool],
) -> tuple[Any, Any, Any, None]:
    dz, gb = through_activation(GELU[approximate], g, z, needs_input_grad[2])
    return *gradients_of_factors(dz, x, weight, needs_input_grad), gb, None
