"""Windows of images as columns of a matrix (im2col), and back (col2im): convolution's first step.

    im2col   y[c, i, j, n, oh, ow] = x[n, c, row, col]      or 0 outside of the image
    col2im   y[n, c, row, col] += x[c, i, j, n, oh, ow]     each pixel, from all windows it is in

    row = oh · stride + i · dilation - top, and col likewise: (i, j) is the place inside a window.

The same moves of numbers as in NumPy, but without a padded copy of the images.
"""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.launch.arguments import contiguous, is_float
from tinygrad_mmb.kernels.launch.windows import counts_of
from tinygrad_mmb.kernels.numba.compile import jit, numba_kernel
from tinygrad_mmb.kernels.registry import WithExtras

Pair = tuple[int, int]


@jit
def im2col(y: Any, x: Any, stride: Pair, dilation: Pair, top_left: Pair) -> None:
    channels, kernel_rows, kernel_cols, images, windows_down, windows_across = y.shape
    _, _, height, width = x.shape
    for c in range(channels):
        for i in range(kernel_rows):
            for j in range(kernel_cols):
                for n in range(images):
                    for oh in range(windows_down):
                        row = oh * stride[0] + i * dilation[0] - top_left[0]
                        for ow in range(windows_across):
                            col = ow * stride[1] + j * dilation[1] - top_left[1]
                            inside = 0 <= row < height and 0 <= col < width
                            y[c, i, j, n, oh, ow] = x[n, c, row, col] if inside else 0.0


@jit
def col2im(y: Any, x: Any, stride: Pair, dilation: Pair, top_left: Pair) -> None:
    channels, kernel_rows, kernel_cols, images, windows_down, windows_across = x.shape
    _, _, height, width = y.shape
    for c in range(channels):
        for i in range(kernel_rows):
            for j in range(kernel_cols):
                for n in range(images):
                    for oh in range(windows_down):
                        row = oh * stride[0] + i * dilation[0] - top_left[0]
                        for ow in range(windows_across):
                            col = ow * stride[1] + j * dilation[1] - top_left[1]
                            if 0 <= row < height and 0 <= col < width:
                                y[n, c, row, col] += x[c, i, j, n, oh, ow]


def columns_of(x: Array, geometry: Any) -> Array:
    """(C, KH, KW, N, OH, OW) of (N, C, H, W)."""
    counts = counts_of(geometry, x.shape[2:])
    y: Array = namespace(x).empty((x.shape[1], *geometry.kernel, x.shape[0], *counts), x.dtype)
    im2col(y, contiguous(x), geometry.stride, geometry.dilation, geometry.top_left)
    return y


def images_of(x: Array, size: Pair, geometry: Any) -> Array:
    """(N, C, H, W), each pixel the sum of what the windows hold of it."""
    y: Array = namespace(x).zeros((x.shape[3], x.shape[0], *size), x.dtype)
    col2im(y, contiguous(x), geometry.stride, geometry.dilation, geometry.top_left)
    return y


def is_gradient(g: Array, extras: Any, **options: Any) -> bool:
    """Whether this is the gradient of what a loop computed."""
    return is_float(g, wide=True)


@numba_kernel("Windows", accepts=lambda x, geometry: is_float(x, wide=True))
def windows(x: Array, geometry: Any) -> WithExtras:
    return WithExtras(columns_of(x, geometry), (x.shape[2:], geometry))


@numba_kernel("Windows.backward", accepts=is_gradient)
def windows_backward(
    g: Array, extras: tuple[Pair, Any], needs_input_grad: Any
) -> tuple[Array, None]:
    return images_of(g, *extras), None


@numba_kernel("Fold", accepts=lambda x, size, geometry: is_float(x, wide=True))
def fold(x: Array, size: Pair, geometry: Any) -> WithExtras:
    return WithExtras(images_of(x, size, geometry), geometry)


@numba_kernel("Fold.backward", accepts=is_gradient)
def fold_backward(g: Array, geometry: Any, needs_input_grad: Any) -> tuple[Array, None, None]:
    return columns_of(g, geometry), None, None
