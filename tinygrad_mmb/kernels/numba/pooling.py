"""Max pooling: the largest number of each window, and where it stands; g goes back there.

    y[n, c, oh, ow] = max over (i, j) of x[n, c, row, col],    index = row · W + col
    ∂L/∂x[n, c, index] += g[n, c, oh, ow]
    row = oh · stride + i · dilation - top, and col likewise

A window is looked at once, its numbers side by side; NumPy walks over all windows once for each
place (i, j), and over y and the indices with it.
"""

from __future__ import annotations

import math
from typing import Any

from tinygrad_mmb import backend
from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.launch.arguments import contiguous, is_float
from tinygrad_mmb.kernels.launch.windows import counts_of
from tinygrad_mmb.kernels.numba.compile import jit, numba_kernel

Pair = tuple[int, int]


@jit
def max_pool(
    y: Any, indices: Any, x: Any, kernel: Pair, stride: Pair, dilation: Pair, top_left: Pair
) -> None:
    planes, windows_down, windows_across = y.shape
    _, height, width = x.shape
    for plane in range(planes):
        for oh in range(windows_down):
            for ow in range(windows_across):
                largest, index = x.dtype.type(-math.inf), -1
                for i in range(kernel[0]):
                    row = oh * stride[0] + i * dilation[0] - top_left[0]
                    if not 0 <= row < height:
                        continue
                    for j in range(kernel[1]):
                        col = ow * stride[1] + j * dilation[1] - top_left[1]
                        if not 0 <= col < width:
                            continue
                        value = x[plane, row, col]
                        # the first counts, be it -∞; NaN is larger than every number
                        if index < 0 or value > largest or value != value:
                            largest, index = value, row * width + col
                y[plane, oh, ow] = largest
                indices[plane, oh, ow] = index


@jit
def max_unpool(dx: Any, g: Any, indices: Any) -> None:
    planes, windows = g.shape
    for plane in range(planes):
        for window in range(windows):
            dx[plane, indices[plane, window]] += g[plane, window]


def are_images(x: Array, geometry: Any) -> bool:
    """Whether these are floats, and every window holds a pixel of the image."""
    if not is_float(x, wide=True):
        return False
    for size, step, hole, before, count in zip(
        x.shape[2:],
        geometry.stride,
        geometry.dilation,
        geometry.top_left,
        counts_of(geometry, x.shape[2:]),
        strict=True,
    ):
        # a window that begins in the border has its first pixel before `hole`; the last window
        # must begin in the image
        if (before > 0 and hole > size) or (count - 1) * step - before >= size:
            return False
    return True


def is_gradient(g: Array, *saved: Any, **options: Any) -> bool:
    """Whether this is the gradient of what a loop computed."""
    return is_float(g, wide=True)


@numba_kernel("MaxPool2d", accepts=are_images)
def max_pool2d(x: Array, geometry: Any) -> tuple[Array, Array]:
    xp, (images, channels, height, width) = namespace(x), x.shape
    counts = counts_of(geometry, (height, width))
    y: Array = xp.empty((images * channels, *counts), x.dtype)
    indices: Array = xp.empty(y.shape, backend.int64)
    planes = contiguous(x).reshape(images * channels, height, width)
    pairs = geometry.kernel, geometry.stride, geometry.dilation, geometry.top_left
    max_pool(y, indices, planes, *pairs)
    shape = (images, channels, *counts)
    return y.reshape(shape), indices.reshape(shape)


@numba_kernel("MaxPool2d.backward", accepts=is_gradient)
def max_pool2d_backward(
    g: Array, _: None, indices: Array, x: Array, needs_input_grad: Any
) -> tuple[Array, None]:
    images, channels, height, width = x.shape
    dx: Array = namespace(g).zeros((images * channels, height * width), g.dtype)
    rows = images * channels, g.shape[2] * g.shape[3]
    max_unpool(dx, contiguous(g).reshape(rows), contiguous(indices).reshape(rows))
    return dx.reshape(x.shape), None
