"""The affine map of a layer and the ReLU behind it, in one pass over the result each way."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.cpu.native import cpu_kernel, native

# A bias for each output, and sizes that fit; a gradient, and all of one dtype
is_affine: Any = getattr(native, "is_affine", None)
gradient_is_float: Any = getattr(native, "gradient_is_float", None)


@cpu_kernel("Linear", accepts=is_affine)
def linear(x: Array, weight: Array, bias: Array | None, relu: bool = False) -> Array:
    """x Wᵀ + b, or max(x Wᵀ + b, 0)."""
    if x.ndim == 2:
        return native.linear(x, weight, bias, relu)
    y = native.linear(as_matrix(x), weight, bias, relu)
    return y.reshape(*x.shape[:-1], weight.shape[0])


@cpu_kernel("LinearRelu", accepts=is_affine)
def linear_relu(x: Array, weight: Array, bias: Array | None) -> Array:
    return linear(x, weight, bias, relu=True)


def as_matrix(x: Array) -> Array:
    """All rows of a batch, or the only one, as one matrix."""
    if x.ndim == 2:
        return x
    rows = 1
    for size in x.shape[:-1]:  # -1 would not say, where another size is 0
        rows *= size
    return x.reshape(rows, x.shape[-1])


@cpu_kernel("Linear.backward", accepts=gradient_is_float)
def linear_backward(
    g: Array, x: Array | None, weight: Array | None, *, needs_input_grad: list[bool]
) -> tuple[Any, Any, Any]:
    """∂L/∂x = g W,   ∂L/∂W = gᵀ x,   ∂L/∂b = Σ g over the rows."""
    return gradients(g, x, weight, None, needs_input_grad)


@cpu_kernel("LinearRelu.backward", accepts=gradient_is_float)
def linear_relu_backward(
    g: Array, x: Array | None, weight: Array | None, y: Array, *, needs_input_grad: list[bool]
) -> tuple[Any, Any, Any]:
    """As Linear's, with 0 for g where y is not above 0."""
    return gradients(g, x, weight, y, needs_input_grad)


def gradients(
    g: Array, x: Array | None, weight: Array | None, y: Array | None, needs: list[bool]
) -> tuple[Any, Any, Any]:
    """Those of x, W and b. x and W are saved each where the other's gradient is wanted."""
    if g.ndim == 2:
        return native.linear_backward(g, x, weight, y, needs[2])
    rows, width = (None if v is None else as_matrix(v) for v in (x, y))
    gx, gw, gb = native.linear_backward(as_matrix(g), rows, weight, width, needs[2])
    return gx if gx is None else gx.reshape(*g.shape[:-1], gx.shape[1]), gw, gb
