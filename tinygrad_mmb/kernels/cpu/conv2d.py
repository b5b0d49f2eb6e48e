"""Convolution without a matrix of windows, with bias and ReLU on the way out; its gradients."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.cpu.native import are_floats, cpu_kernel, native
from tinygrad_mmb.kernels.launch import contiguous
from tinygrad_mmb.kernels.launch.windows import counts_of
from tinygrad_mmb.kernels.registry import WithExtras


def is_convolution(x: Array, weight: Array, bias: Array | None, geometry: Any, groups: int) -> bool:
    """Whether the kernels take these images and filters."""
    return are_floats(x, weight, bias) and 0 not in (*x.shape, *weight.shape)


def is_gradient(g: Array, x: Array, *saved: Any, **options: Any) -> bool:
    """Whether the kernels take the gradient of what the forward twin computed."""
    return are_floats(g, x)


def forward(
    x: Array, weight: Array, bias: Array | None, geometry: Any, groups: int, relu: bool
) -> WithExtras:
    y: Array = namespace(x).empty(
        (x.shape[0], weight.shape[0], *counts_of(geometry, x.shape[2:])), x.dtype
    )
    bias = None if bias is None else contiguous(bias)
    numbers = described(geometry)
    native.conv2d(y, x, contiguous(weight), bias, numbers, groups, relu)
    return WithExtras(y, (numbers, groups))


def backward(
    g: Array, x: Array, weight: Array, y: Array | None, extras: Any, needs_input_grad: Any
) -> tuple[Any, ...]:
    """Those of x, weight and bias. With y, the convolution's ReLU is undone on the way in."""
    need_x, need_weight, need_bias, *_ = needs_input_grad
    dx = dweight = dbias = None
    if need_x:
        dx = namespace(x).empty(x.shape, x.dtype)
        native.conv2d_images(dx, g, y, contiguous(weight), *extras)
    if need_weight:
        dweight = namespace(x).empty(weight.shape, x.dtype)
    if need_bias:
        dbias = namespace(x).empty((weight.shape[0],), x.dtype)
    if need_weight or need_bias:
        native.conv2d_filters(dweight, dbias, g, y, x, *extras, weight.size)
    return dx, dweight, dbias, None, None


def described(geometry: Any) -> tuple[int, ...]:
    """A geometry of ops/windows.py as csrc/cpu/kernels/planes.hpp has it."""
    return *geometry.kernel, *geometry.stride, *geometry.dilation, *geometry.top_left


@cpu_kernel("Conv2d", accepts=is_convolution)
def conv2d(x: Array, weight: Array, bias: Array | None, geometry: Any, groups: int) -> WithExtras:
    return forward(x, weight, bias, geometry, groups, relu=False)


@cpu_kernel("Conv2dRelu", accepts=is_convolution)
def conv2d_relu(
    x: Array, weight: Array, bias: Array | None, geometry: Any, groups: int
) -> WithExtras:
    return forward(x, weight, bias, geometry, groups, relu=True)


@cpu_kernel("Conv2d.backward", accepts=is_gradient)
def conv2d_backward(
    g: Array, x: Array, weight: Array, extras: Any, needs_input_grad: Any
) -> tuple[Any, ...]:
    return backward(g, x, weight, None, extras, needs_input_grad)


@cpu_kernel("Conv2dRelu.backward", accepts=is_gradient)
def conv2d_relu_backward(
    g: Array, x: Array, weight: Array, y: Array, extras: Any, needs_input_grad: Any
) -> tuple[Any, ...]:
    return backward(g, x, weight, y, extras, needs_input_grad)
