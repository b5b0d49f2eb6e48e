"""The largest and the sum of each window of an image, there and back."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb import backend
from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.cpu.conv2d import described
from tinygrad_mmb.kernels.cpu.native import are_floats, cpu_kernel, native
from tinygrad_mmb.kernels.launch import contiguous
from tinygrad_mmb.kernels.launch.windows import LIMIT, counts_of, fits
from tinygrad_mmb.kernels.registry import WithExtras

Pair = tuple[int, int]


def are_images(x: Array, geometry: Any) -> bool:
    """Whether the kernels take these images and windows."""
    return are_floats(x) and 0 not in x.shape


def have_maxima(x: Array, geometry: Any) -> bool:
    """Whether, moreover, every window holds a pixel, and steps inside of it fit into 32 bits."""
    if not are_images(x, geometry) or not fits(geometry, x.shape[2:]):
        return False
    if (geometry.span(0) + geometry.dilation[0] + 1) * x.shape[3] + geometry.span(1) >= LIMIT:
        return False
    for axis, count in enumerate(counts_of(geometry, x.shape[2:])):
        before, size = geometry.top_left[axis], x.shape[2 + axis]
        # the first window must reach into the image, whose first pixel under it stands before
        # `dilation`; the last window must begin in the image
        if before > (geometry.kernel[axis] - 1) * geometry.dilation[axis]:
            return False
        if before > 0 and geometry.dilation[axis] > size:
            return False
        if (count - 1) * geometry.stride[axis] - before >= size:
            return False
    return True


def are_spread(x: Array, size: Pair, geometry: Any) -> bool:
    """Whether the kernels take these numbers, one per window of images of `size`."""
    return are_floats(x) and 0 not in (*x.shape, *size)


def is_gradient(g: Array, *saved: Any, **options: Any) -> bool:
    """Whether the kernels take the gradient of what a forward twin computed."""
    return are_floats(g)


@cpu_kernel("MaxPool2d", accepts=have_maxima)
def max_pool2d(x: Array, geometry: Any) -> WithExtras:
    y: Array = namespace(x).empty((*x.shape[:2], *counts_of(geometry, x.shape[2:])), x.dtype)
    indices: Array = namespace(x).empty(y.shape, backend.int64)
    numbers = described(geometry)
    native.max_pool(y, indices, x, numbers)
    return WithExtras((y, indices), numbers)


@cpu_kernel("MaxPool2d.backward", accepts=is_gradient)
def max_pool2d_backward(
    g: Array, _: None, indices: Array, x: Array, geometry: Any, needs_input_grad: Any
) -> tuple[Array, None]:
    dx: Array = namespace(g).empty(x.shape, g.dtype)
    native.max_unpool(dx, g, contiguous(indices), geometry)
    return dx, None


@cpu_kernel("WindowSum", accepts=are_images)
def window_sum(x: Array, geometry: Any) -> WithExtras:
    y: Array = namespace(x).empty((*x.shape[:2], *counts_of(geometry, x.shape[2:])), x.dtype)
    native.window_sum(y, x, described(geometry))
    return WithExtras(y, geometry)


@cpu_kernel("WindowSum.backward", accepts=is_gradient)
def window_sum_backward(
    g: Array, x: Array, geometry: Any, needs_input_grad: Any
) -> tuple[Array, None]:
    return window_spread(g, x.shape[2:], geometry), None


@cpu_kernel("WindowSpread", accepts=are_spread)
def window_spread(x: Array, size: Pair, geometry: Any) -> Array:
    y: Array = namespace(x).empty((*x.shape[:2], *size), x.dtype)
    native.window_spread(y, x, described(geometry))
    return y
