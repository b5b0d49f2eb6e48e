"""Windows of images as columns of a matrix, and back: convolution's first step, one by itself."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.launch import (
    contiguous,
    cuda_function,
    cuda_kernel,
    int32,
    int64,
    is_float,
    suffix,
)
from tinygrad_mmb.kernels.launch.windows import counts_of, fits, packed
from tinygrad_mmb.kernels.registry import WithExtras

FILE = "conv2d/01_im2col.cu"
THREADS = 256
Pair = tuple[int, int]


def are_images(x: Array, geometry: Any) -> bool:
    """Whether the kernels take these images and windows."""
    return is_float(x, wide=True) and fits(geometry, x.shape[2:])


def are_columns(x: Array, size: Pair, geometry: Any) -> bool:
    """Whether the kernels take these windows, of images of `size`."""
    return is_float(x, wide=True) and fits(geometry, size)


def is_gradient(g: Array, extras: Any, **options: Any) -> bool:
    """Whether the kernels take the gradient of what a forward twin computed."""
    return is_float(g, wide=True)


@cuda_kernel("Windows", accepts=are_images)
def windows(x: Array, geometry: Any) -> WithExtras:
    return WithExtras(columns_of(x, geometry), (x.shape[2:], geometry))


@cuda_kernel("Windows.backward", accepts=is_gradient)
def windows_backward(
    g: Array, extras: tuple[Pair, Any], needs_input_grad: Any
) -> tuple[Array, None]:
    return images_of(g, *extras), None


@cuda_kernel("Fold", accepts=are_columns)
def fold(x: Array, size: Pair, geometry: Any) -> WithExtras:
    return WithExtras(images_of(x, size, geometry), geometry)


@cuda_kernel("Fold.backward", accepts=is_gradient)
def fold_backward(g: Array, geometry: Any, needs_input_grad: Any) -> tuple[Array, None, None]:
    return columns_of(g, geometry), None, None


def columns_of(x: Array, geometry: Any) -> Array:
    """(C, KH, KW, N, OH, OW) of (N, C, H, W)."""
    images, channels, *size = x.shape
    counts = counts_of(geometry, x.shape[2:])
    columns: Array = namespace(x).empty((channels, *geometry.kernel, images, *counts), x.dtype)
    shape = packed(geometry, (size[0], size[1]), counts)
    run("im2col", columns, x, images, channels, shape)
    return columns


def images_of(columns: Array, size: Pair, geometry: Any) -> Array:
    """(N, C, H, W), each pixel the sum of what the windows hold of it."""
    channels, _, _, images, *counts = columns.shape
    x: Array = namespace(columns).empty((images, channels, *size), columns.dtype)
    shape = packed(geometry, size, (counts[0], counts[1]))
    run("col2im", x, columns, images, channels, shape)
    return x


def run(kernel: str, y: Array, x: Array, images: int, channels: int, shape: bytes) -> None:
    """A thread for every number of y."""
    arguments = y, contiguous(x), int64(y.size), int32(images), int32(channels), shape
    blocks = (-(-y.size // THREADS),)
    cuda_function(FILE, f"{kernel}_{suffix(y)}")(blocks, (THREADS,), arguments)
