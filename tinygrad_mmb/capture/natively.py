"""Twins that a compiled replay calls without Python: what their function in Python does, as calls
that are added to a native.Replay. They write their results into the arena.

Each function below takes the call as the plan has it (what the twin was given, what it returned)
and names the kernels of csrc/cpu/kernels that the twin would call with it. What the twin would
first copy into rows raises UnfitError: the call is then Python's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_mmb.capture.elementwise import Pass
from tinygrad_mmb.capture.graph import Node, Value, mapped
from tinygrad_mmb.capture.layout import UnfitError, in_rows
from tinygrad_mmb.capture.plan import Instruction, Operand
from tinygrad_mmb.capture.replay import flat
from tinygrad_mmb.capture.scalars import Scalar
from tinygrad_mmb.kernels.cpu import (
    activation,
    batch_norm,
    conv2d,
    cross_entropy,
    log_softmax,
    pooling,
    softmax,
)
from tinygrad_mmb.kernels.launch.rows import around

Calls = list[tuple[str, tuple[Any, ...]]]


def in_place(nodes: list[Node]) -> None:
    """Mark the calls that C++ does: their results have places in the arena from now on."""
    for node in nodes:
        node.placed = node.kind == "call" and node.function in NATIVE and is_bound(node)


def is_bound(node: Node) -> bool:
    """Whether the kernels of a call can be given their arguments once, when the plan is made."""
    leaves = flat((node.args, node.options))
    if any(type(x) is Scalar for x in leaves):
        return False
    if any(v.dtype.kind == "O" or not in_rows(lying(v)) for v in node.outputs):
        return False
    if any(is_made_anew(x) for x in leaves if type(x) is Value):
        return False
    args, options, template = (mapped(x, lying) for x in (node.args, node.options, node.template))
    outputs = [lying(v) for v in node.outputs]
    one = Instruction("call", node.name, node.function, args, options, outputs, 0, node.line,
                      template=template)  # fmt: skip
    try:
        NATIVE[node.function](one)
    except UnfitError:
        return False
    return True


def is_made_anew(value: Value) -> bool:
    """Whether a value lies in memory that a call of Python makes at each replay."""
    while value.node.kind == "view":
        value = value.node.args[0]
    return value.node.kind == "call" and not value.node.placed


def lying(x: Any) -> Any:
    """A value as if it stood in a buffer of its own: its layout; other things as they are."""
    return Operand(id(x), 0, x.shape, x.strides, x.dtype) if type(x) is Value else x


def kernel(name: str, *args: Any, images: tuple[int, ...] = ()) -> Calls:
    """One call of a kernel, whose arrays must lie in rows; those at `images` in any way."""
    found = [x for k, x in enumerate(args) if isinstance(x, Operand) and k not in images]
    if not all(in_rows(x) for x in found):
        raise UnfitError
    return [("kernel", (name, args))]


# -- images


def convolution(one: Instruction) -> Calls:
    """y = conv(x) + bias, and its ReLU."""
    x, weight, bias, geometry, groups = one.inputs
    relu = one.function is conv2d.conv2d_relu
    numbers = conv2d.described(geometry)
    return kernel("conv2d", one.outputs[0], x, weight, bias, numbers, groups, relu, images=(1,))


def convolution_gradients(one: Instruction) -> Calls:
    """Those of x, weight and bias that are asked for, the gate of the ReLU on the way in."""
    g, x, weight, *results, (numbers, groups) = one.inputs
    y = results[0] if results else None
    dx, dweight, dbias, *_ = one.template
    calls: Calls = []
    if dx is not None:
        calls += kernel("conv2d_images", dx, g, y, weight, numbers, groups, images=(1, 2))
    if dweight is not None or dbias is not None:
        size = int(np.prod(weight.shape))
        calls += kernel("conv2d_filters", dweight, dbias, g, y, x, numbers, groups, size,
                        images=(2, 3, 4))  # fmt: skip
    return calls


def largest(one: Instruction) -> Calls:
    """Max pooling: values and where they stood."""
    x, geometry = one.inputs
    return kernel("max_pool", *one.outputs, x, conv2d.described(geometry), images=(2,))


def largest_gradient(one: Instruction) -> Calls:
    """Each gradient to the pixel that was the largest."""
    g, _, indices, _, numbers = one.inputs
    return kernel("max_unpool", one.outputs[0], g, indices, numbers, images=(1,))


def windows(one: Instruction) -> Calls:
    """The sum of each window."""
    x, geometry = one.inputs
    return kernel("window_sum", one.outputs[0], x, conv2d.described(geometry), images=(1,))


def windows_gradient(one: Instruction) -> Calls:
    """Each gradient to all pixels of its window."""
    g, _, geometry = one.inputs
    numbers = conv2d.described(geometry)
    return kernel("window_spread", one.outputs[0], g, numbers, images=(1,))


# -- rows


def normal(one: Instruction) -> Calls:
    """Batch norm; μ, σ² and 1 / √(σ² + ε) besides."""
    x, weight, bias, eps = one.inputs
    channels, plane = x.shape[1], int(np.prod(x.shape[2:]))
    return kernel("batch_norm", *one.outputs, x, weight, bias, channels, plane, eps)


def normal_gradients(one: Instruction) -> Calls:
    """Those of x, weight and bias."""
    g, _, _, x, weight, _, _, left = one.inputs
    dx, dweight, dbias, _ = one.template
    if dweight is None or dbias is None:  # the kernel writes both
        raise UnfitError
    channels, plane = x.shape[1], int(np.prod(x.shape[2:]))
    return kernel("batch_norm_backward", dx, dweight, dbias, g, x, weight, left.mean, left.scale,
                  channels, plane)  # fmt: skip


def along(name: str) -> Callable[[Instruction], Calls]:
    """Softmax or log-softmax along a dimension."""
    return lambda one: kernel(name, one.outputs[0], one.inputs[0], *around(*shape_and_dim(one)))


def back_along(name: str) -> Callable[[Instruction], Calls]:
    """The gradient of one of those, made of its result."""
    return lambda one: kernel(name, one.outputs[0], *one.inputs[:2], *around(*shape_and_dim(one)))


def shape_and_dim(one: Instruction) -> tuple[Any, int]:
    """What `around` is asked about."""
    return one.inputs[0].shape, one.inputs[-1]


def gelu(one: Instruction) -> Calls:
    """x Φ(x), exactly or nearly."""
    x, approximate = one.inputs
    return kernel(f"map_gelu{ending(approximate)}", one.outputs[0], x)


def gelu_gradient(one: Instruction) -> Calls:
    """Its slope times what comes back."""
    g, x, approximate = flat(one.inputs)
    return kernel(f"slope_gelu{ending(approximate)}", one.outputs[0], g, x)


def ending(approximate: str) -> str:
    """What the kernel's name ends in."""
    return "" if approximate == "none" else "_tanh"


# -- losses


def loss(one: Instruction) -> Calls:
    """Softmax-cross-entropy, and its gradient if that will be asked for."""
    x, t, w, ignored, mean, _ = one.inputs
    y, dx = (*one.outputs, None)[:2]
    return kernel("cross_entropy", y, dx, x, t, w, ignored, mean)


def loss_gradient(one: Instruction) -> Calls:
    """The gradient that the forward pass has written, times that of the loss."""
    g, dx = one.inputs[0], one.inputs[-1]
    times = Instruction("ufunc", "multiply", np.multiply, (dx, g), {}, one.outputs, 0, one.line)
    return [("elementwise", Pass([times]).arguments())]


NATIVE: dict[Any, Callable[[Instruction], Calls]] = {
    conv2d.conv2d: convolution,
    conv2d.conv2d_relu: convolution,
    conv2d.conv2d_backward: convolution_gradients,
    conv2d.conv2d_relu_backward: convolution_gradients,
    pooling.max_pool2d: largest,
    pooling.max_pool2d_backward: largest_gradient,
    pooling.window_sum: windows,
    pooling.window_sum_backward: windows_gradient,
    batch_norm.batch_norm: normal,
    batch_norm.batch_norm_backward: normal_gradients,
    softmax.softmax: along("softmax"),
    softmax.softmax_backward: back_along("softmax_backward"),
    log_softmax.log_softmax: along("log_softmax"),
    log_softmax.log_softmax_backward: back_along("log_softmax_backward"),
    activation.gelu: gelu,
    activation.gelu_slope: gelu_gradient,
    cross_entropy.batch_cross_entropy: loss,
    cross_entropy.batch_cross_entropy_backward: loss_gradient,
}
