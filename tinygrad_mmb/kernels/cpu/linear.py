"""The affine map of a layer and the ReLU or GELU behind it."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.cpu.native import are_floats, cpu_kernel, native
from tinygrad_mmb.kernels.launch.rows import as_matrix

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


@cpu_kernel("Linear.backward", accepts=gradient_is_float)
def linear_backward(
    g: Array, x: Array | None, weight: Array | None, *, needs_input_grad: list[bool]
) -> tuple[Any, Any, Any]:
    """∂L/∂x = g W,   ∂L/∂W = gᵀ x,   ∂L/∂b = Σ g over the rows."""
    return gradients(native.linear_backward, g, x, weight, None, needs_input_grad[2])


@cpu_kernel("LinearRelu.backward", accepts=gradient_is_float)
def linear_relu_backward(
    g: Array, x: Array | None, weight: Array | None, y: Array, *, needs_input_grad: list[bool]
) -> tuple[Any, Any, Any]:
    """As Linear's, with 0 for g where y is not above 0."""
    return gradients(native.linear_backward, g, x, weight, y, needs_input_grad[2])


def gradients(
    kernel: Any,
    g: Array,
    x: Array | None,
    weight: Array | None,
    saved: Array | None,
    *options: bool,
) -> tuple[Any, Any, Any]:
    """Those of x, W and b, by a kernel for matrices. x and W are saved each where the other's
    gradient is wanted; `saved`: what the activation's slope is computed of.
    """
    if g.ndim == 2:
        return kernel(g, x, weight, saved, *options)
    rows, wide = (None if v is None else as_matrix(v) for v in (x, saved))
    gx, gw, gb = kernel(as_matrix(g), rows, weight, wide, *options)
    return gx if gx is None else gx.reshape(*g.shape[:-1], gx.shape[1]), gw, gb


@cpu_kernel("LinearGelu", accepts=is_affine)
def linear_gelu(
    x: Array, weight: Array, bias: Array | None, approximate: str
) -> tuple[Array, Array]:
    """z Φ(z), and z = x Wᵀ + b."""
    y, z = native.linear_gelu(as_matrix(x), weight, bias, approximate == "tanh")
    if x.ndim == 2:
        return y, z
    shape = (*x.shape[:-1], weight.shape[0])
    return y.reshape(shape), z.reshape(shape)


def goes_back_through_gelu(
    g: Array | None, g_z: Array | None, *saved: Any, needs_input_grad: list[bool]
) -> bool:
    """Whether the kernel computes these gradients: of y alone, for z is only the way back's."""
    return g is not None and g_z is None and are_floats(g, *saved[:3])


@cpu_kernel("LinearGelu.backward", accepts=goes_back_through_gelu)
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
    """As Linear's, with g · (Φ + z Φ') for g."""
    options = approximate == "tanh", needs_input_grad[2]
    return *gradients(native.linear_gelu_backward, g, x, weight, z, *options), None
