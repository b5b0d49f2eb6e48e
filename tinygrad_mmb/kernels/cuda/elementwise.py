"""One number in, one out: exp, relu and their like, with their gradients; and + - · / of two."""

from __future__ import annotations

import struct
from collections.abc import Callable
from math import prod
from typing import Any

from tinygrad_mmb.backend import Array, empty_in_layout_of, is_array, namespace
from tinygrad_mmb.kernels.launch import cuda_function, cuda_kernel, int64, is_float, suffix
from tinygrad_mmb.kernels.launch.elements import (
    THREADS,
    blocks_for,
    dense,
    lies_dense,
    lying_alike,
    rows_of_blocks,
)

# Ops whose `setup_context` saves one array, x or y.
WITH_SLOPE = "Exp", "Log", "Sqrt", "Tanh", "Sigmoid", "Erf", "Relu"
BINARY = "Add", "Sub", "Mul", "Div"
DIMS = 4  # of a broadcast, after those that lie behind each other became one

Sizes = tuple[int, ...]
Step = tuple[int, int, int]  # along a dimension: how many, and the strides of a and b


def is_one_float(x: Array) -> bool:
    """Whether the kernels take x."""
    return is_float(x)


def are_two_floats(g: Array, saved: Array, **options: Any) -> bool:
    """Whether the kernels take a gradient and what was saved."""
    return is_float(g, saved) and g.shape == saved.shape


def mapped(kernel: str) -> Callable[[Array], Array]:
    """The twin that applies a formula of elementwise.cuh."""

    def run(x: Array) -> Array:
        x = dense(x)
        y = empty_in_layout_of(x)
        function = cuda_function("elementwise.cu", f"{kernel}_{suffix(x)}")
        function(blocks_for(x.size), (THREADS,), (y, x, int64(x.size)))
        return y

    return run


def sloped(kernel: str) -> Callable[..., tuple[Array]]:
    """The twin that applies the slope of a formula."""

    def run(g: Array, saved: Array, needs_input_grad: Any) -> tuple[Array]:
        g, saved = lying_alike(g, saved)
        dx = empty_in_layout_of(saved)
        function = cuda_function("elementwise.cu", f"{kernel}_slope_{suffix(g)}")
        function(blocks_for(g.size), (THREADS,), (dx, g, saved, int64(g.size)))
        return (dx,)

    return run


for op in ("Neg", *WITH_SLOPE):
    cuda_kernel(op, accepts=is_one_float)(mapped(op.lower()))
for op in WITH_SLOPE:
    cuda_kernel(f"{op}.backward", accepts=are_two_floats)(sloped(op.lower()))

cuda_kernel("Silu", accepts=is_one_float)(mapped("silu"))
cuda_kernel("Silu.backward", accepts=are_two_floats)(sloped("silu"))

GELU = {"none": "gelu", "tanh": "gelu_tanh"}  # by `approximate`


@cuda_kernel("Gelu", accepts=lambda x, approximate: is_float(x))
def gelu(x: Array, approximate: str) -> Array:
    """x Φ(x), exactly or nearly."""
    return mapped(GELU[approximate])(x)


@cuda_kernel(
    "Gelu.backward",
    accepts=lambda g, x, approximate, needs_input_grad: are_two_floats(g, x),
)
def gelu_backward(
    g: Array, x: Array, approximate: str, needs_input_grad: Any
) -> tuple[Array, None]:
    """∂L/∂x; `approximate` has no gradient."""
    return *sloped(GELU[approximate])(g, x, needs_input_grad), None


def meet(a: Any, b: Any) -> bool:
    """Whether the kernels combine two operands: floats of one dtype, or one of them a number."""
    arrays = [v for v in (a, b) if is_array(v)]
    if not is_float(*arrays, wide=True):
        return False
    if len(arrays) == 1:
        return isinstance(b if is_array(a) else a, (int, float))
    if a.shape == b.shape and a.strides == b.strides and lies_dense(a):
        return True
    shape = broadcast(a.shape, b.shape)
    return shape is not None and len(walk(a, b, shape)) <= DIMS


def broadcast(a: Sizes, b: Sizes) -> Sizes | None:
    """The shape in which two shapes meet; None if they do not."""
    shape = []
    for i in range(1, max(len(a), len(b)) + 1):
        sizes = {s[-i] for s in (a, b) if i <= len(s)} - {1}
        if len(sizes) > 1:
            return None
        shape.append(sizes.pop() if sizes else 1)
    return tuple(reversed(shape))


def strides_in(x: Array, shape: Sizes) -> list[int]:
    """How many elements of x lie between neighbours along each dimension of `shape`."""
    missing = len(shape) - x.ndim
    own = zip(x.strides, x.shape, strict=True)
    return [0] * missing + [0 if size == 1 else stride // x.itemsize for stride, size in own]


def walk(a: Array, b: Array, shape: Sizes) -> list[Step]:
    """The dimensions to walk: one that simply goes on where the next one ends is one with it."""
    left: list[Step] = []
    for size, sa, sb in zip(shape, strides_in(a, shape), strides_in(b, shape), strict=True):
        if size == 1:
            continue
        if left and left[-1][1:] == (sa * size, sb * size):
            left[-1] = left[-1][0] * size, sa, sb
        else:
            left.append((size, sa, sb))
    return left


def combined(kernel: str) -> Callable[[Any, Any], Array]:
    """The twin of one of the four operations."""

    def run(a: Any, b: Any) -> Array:
        lead = a if is_array(a) else b
        number = lead.dtype.type
        alike = is_array(a) and is_array(b) and a.shape == b.shape and a.strides == b.strides
        if alike and lies_dense(a):
            y = empty_in_layout_of(a)
            operands = (a, b, number(0), number(0))
        elif not is_array(b):
            a = dense(a)
            y = empty_in_layout_of(a)
            operands = (a, None, number(0), number(b))
        elif not is_array(a):
            b = dense(b)
            y = empty_in_layout_of(b)
            operands = (None, b, number(a), number(0))
        else:
            return broadcasting(kernel, a, b)
        function = cuda_function("elementwise_binary.cu", f"{kernel}_{suffix(lead)}")
        function(blocks_for(y.size), (THREADS,), (y, *operands, int64(y.size)))
        return y

    return run


def broadcasting(kernel: str, a: Array, b: Array) -> Array:
    """a and b combined where one of them repeats, or they lie differently."""
    shape = broadcast(a.shape, b.shape) or ()
    y: Array = namespace(a).empty(shape, a.dtype)
    if not y.size:
        return y
    steps = walk(a, b, shape)
    steps = [(1, 0, 0)] * (DIMS - len(steps)) + steps
    grid, block = rows_of_blocks(prod(size for size, *_ in steps[:-1]), steps[-1][0])
    layout = struct.pack("12q", *(v for column in zip(*steps, strict=True) for v in column))
    function = cuda_function("elementwise_binary.cu", f"{kernel}_rows_{suffix(a)}")
    function(grid, block, (y, a, b, layout))
    return y


for op in BINARY:
    cuda_kernel(op, accepts=meet)(combined(op.lower()))
