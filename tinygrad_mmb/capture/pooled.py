"""Rewrite for a replay in C++: the gate of a ReLU between a convolution and max pooling.

    y = max(z, 0),  p = max of each window of y          forward
    ∂L/∂y[index of p] = ∂L/∂p,  ∂L/∂z = ∂L/∂y where y > 0      the step, there and back

A gradient goes to the pixel that was the largest, where y is p: so the gate is asked of p, of a
quarter of the numbers for windows of 2 x 2, and y need not be kept. The bits are the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_mmb.capture.elementwise import Pass
from tinygrad_mmb.capture.graph import Node, Value
from tinygrad_mmb.capture.natively import NATIVE, Calls, kernel
from tinygrad_mmb.capture.plan import Instruction
from tinygrad_mmb.capture.simplify import Program, dense, users_of
from tinygrad_mmb.kernels.cpu import conv2d, pooling
from tinygrad_mmb.kernels.cpu.native import native
from tinygrad_mmb.kernels.launch import contiguous
from tinygrad_mmb.ops.selection import dropped


def gate(g: Any, y: Any) -> Any:
    """g, or 0 where y ≤ 0: the gradient of max(z, 0), of whose results y is one."""
    return dropped(y <= 0, g)


def unpool(g: Any, indices: Any, shape: tuple[int, ...], geometry: Any) -> tuple[Any, None]:
    """Each gradient to its pixel of images of `shape`, as the twin of max pooling does it."""
    dx = np.empty(shape, g.dtype)
    native.max_unpool(dx, g, contiguous(indices), geometry)
    return dx, None


def gate_natively(one: Instruction) -> Calls:
    """y is not below 0, or NaN: so g stays where y is not 0."""
    kept = Instruction("gate", "gate", None, one.inputs, {}, one.outputs, 0, one.line)
    return [("elementwise", Pass([kept]).arguments())]


def unpool_natively(one: Instruction) -> Calls:
    """One call of the kernel."""
    g, indices, _, geometry = one.inputs
    return kernel("max_unpool", one.outputs[0], g, indices, geometry, images=(1,))


NATIVE |= {gate: gate_natively, unpool: unpool_natively}


def gate_at_maxima(program: Program) -> None:
    """Rewrite the gates of a program."""
    users = users_of(program.nodes)
    wanted = {program.root(v) for v in program.wanted()}
    made: dict[Node, Node] = {}  # before which node
    for node in program.nodes:
        if node.function is not conv2d.conv2d_relu_backward or not node.placed:
            continue
        g, x, weight, y, extras = node.args
        back = g.node
        if back.function is not pooling.max_pool2d_backward or not back.placed:
            continue
        g_pooled, _, indices, pooled, geometry = back.args
        forward = indices.node
        alone = {id(u) for u in users[g] if u.kind != "view"} == {id(node)} and g not in wanted
        same = y is pooled and forward.function is pooling.max_pool2d and forward.args[0] is y
        if not (alone and same and forward.placed and program.lasts(y)):
            continue
        largest = forward.outputs[0]
        if not program.lasts(largest) or indices is not forward.outputs[1]:
            continue
        made[back] = gated = Node("call", "gate", (g_pooled, largest), {}, gate, line=node.line)
        value = Value(gated, 0, g_pooled.shape, g_pooled.dtype, dense(g_pooled))
        value.id = len(program.recorded) + len(made)
        gated.outputs, gated.template, gated.placed = [value], value, True
        back.function, back.args, back.options = unpool, (value, indices, y.shape, geometry), {}
        node.name, node.function = "Conv2d.backward", conv2d.conv2d_backward
        node.args = (g, x, weight, extras)
        back.reads = node.reads = None
    program.nodes = [n for node in program.nodes for n in (made.get(node), node) if n is not None]
    program.drop_dead()
    program.find_roots()
