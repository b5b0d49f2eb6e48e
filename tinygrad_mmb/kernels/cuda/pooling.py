"""The largest and the sum of each window of an image, there and back."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb import backend
from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.launch import (
    contiguous,
    cuda_function,
    cuda_kernel,
    int64,
    is_float,
    suffix,
)
from tinygrad_mmb.kernels.launch.windows import counts_of, fits, packed
from tinygrad_mmb.kernels.registry import WithExtras

THREADS = 256
Pair = tuple[int, int]


def are_images(x: Array, geometry: Any) -> bool:
    """Whether the kernels take these images and windows."""
    return is_float(x, wide=True) and fits(geometry, x.shape[2:])


def are_spread(x: Array, size: Pair, geometry: Any) -> bool:
    """Whether the kernels take these numbers, one per window of images of `size`."""
    return is_float(x, wide=True) and fits(geometry, size)


def is_gradient(g: Array, *saved: Any, **options: Any) -> bool:
    """Whether the kernels take the gradient of what a forward twin computed."""
    return is_float(g, wide=True)


def run(kernel: str, outputs: tuple[Array, ...], inputs: tuple[Array, ...], windows: bytes) -> None:
    """A thread for every number of the first output."""
    y = outputs[0]
    inputs = tuple([contiguous(x) for x in inputs])
    cuda_function("pooling.cu", f"{kernel}_{suffix(y)}")(
        (-(-y.size // THREADS),), (THREADS,), (*outputs, *inputs, int64(y.size), windows)
    )


@cuda_kernel("MaxPool2d", accepts=are_images)
def max_pool2d(x: Array, geometry: Any) -> WithExtras:
    size, counts = x.shape[2:], counts_of(geometry, x.shape[2:])
    y: Array = namespace(x).empty((*x.shape[:2], *counts), x.dtype)
    indices: Array = namespace(x).empty(y.shape, backend.int64)
    run("max_pool", (y, indices), (x,), packed(geometry, size, counts))
    return WithExtras((y, indices), geometry)


@cuda_kernel("MaxPool2d.backward", accepts=is_gradient)
def max_pool2d_backward(
    g: Array, _: None, indices: Array, x: Array, geometry: Any, needs_input_grad: Any
) -> tuple[Array, None]:
    dx: Array = namespace(g).empty(x.shape, g.dtype)
    size, counts = x.shape[2:], counts_of(geometry, x.shape[2:])
    run("max_unpool", (dx,), (g, indices), packed(geometry, size, counts))
    return dx, None


def summed(x: Array, geometry: Any) -> Array:
    """The sum of each window."""
    size, counts = x.shape[2:], counts_of(geometry, x.shape[2:])
    y: Array = namespace(x).empty((*x.shape[:2], *counts), x.dtype)
    run("window_sum", (y,), (x,), packed(geometry, size, counts))
    return y


def spread(x: Array, size: Pair, geometry: Any) -> Array:
    """Each number added to every pixel of its window."""
    y: Array = namespace(x).empty((*x.shape[:2], *size), x.dtype)
    run("window_spread", (y,), (x,), packed(geometry, size, x.shape[2:]))
    return y


@cuda_kernel("WindowSum", accepts=are_images)
def window_sum(x: Array, geometry: Any) -> WithExtras:
    return WithExtras(summed(x, geometry), geometry)


@cuda_kernel("WindowSum.backward", accepts=is_gradient)
def window_sum_backward(
    g: Array, x: Array, geometry: Any, needs_input_grad: Any
) -> tuple[Array, None]:
    return spread(g, x.shape[2:], geometry), None


@cuda_kernel("WindowSpread", accepts=are_spread)
def window_spread(x: Array, size: Pair, geometry: Any) -> Array:
    return spread(x, size, geometry)
