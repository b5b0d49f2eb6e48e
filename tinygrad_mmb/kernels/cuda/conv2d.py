"""Convolution as a product with a matrix of windows that is made tile by tile; its gradients.

The ladder has two steps: the matrix of windows written out, and this.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.cuda.elementwise import sloped
from tinygrad_mmb.kernels.cuda.ladder import Step, enter
from tinygrad_mmb.kernels.cuda.matmul_launch import product
from tinygrad_mmb.kernels.cuda.windows import columns_of
from tinygrad_mmb.kernels.launch import (
    contiguous,
    cuda_function,
    cuda_kernel,
    int32,
    int64,
    is_float,
    suffix,
)
from tinygrad_mmb.kernels.launch.windows import LIMIT, counts_of, fits, packed
from tinygrad_mmb.kernels.registry import WithExtras

FILE = "conv2d/02_implicit_gemm.cu"
THREADS, TILE = 256, 64  # of a block; rows and columns that it computes
BLOCKS = 528  # 4 for each of the 132 multiprocessors of an H200: until then a sum is split
GRID = 65535  # blocks along the second and third dimension of a grid
SHARE = 512  # terms of a sum, of which a split has at least so many


def is_convolution(x: Array, weight: Array, bias: Array | None, geometry: Any, groups: int) -> bool:
    """Whether the kernels take these images and filters."""
    if not is_float(x, weight, bias, wide=True) or not fits(geometry, x.shape[2:]):
        return False
    images, places = x.shape[0], math.prod(geometry.kernel)
    windows = images * math.prod(counts_of(geometry, x.shape[2:]))
    # columns and terms of the three products are C's int, and the grid's third dimension is short
    most = max(windows, images * x.shape[2] * x.shape[3], max(weight.shape[:2]) * places)
    return most < LIMIT and 0 < groups < GRID and 0 not in (*x.shape, *weight.shape)


def is_gradient(g: Array, x: Array, weight: Array, extras: Any, **options: Any) -> bool:
    """Whether the kernels take the gradient of what the forward twin computed."""
    return is_float(g, x, weight, wide=True)


@cuda_kernel("Conv2d", accepts=is_convolution)
def conv2d(x: Array, weight: Array, bias: Array | None, geometry: Any, groups: int) -> WithExtras:
    return convolved("conv2d", x, weight, bias, geometry, groups)


@cuda_kernel("Conv2dRelu", accepts=is_convolution)
def conv2d_relu(
    x: Array, weight: Array, bias: Array | None, geometry: Any, groups: int
) -> WithExtras:
    return convolved("conv2d_relu", x, weight, bias, geometry, groups)


def convolved(
    kernel: str, x: Array, weight: Array, bias: Array | None, geometry: Any, groups: int
) -> WithExtras:
    """The convolution, with the activation or without, in one launch."""
    counts = counts_of(geometry, x.shape[2:])
    y: Array = namespace(x).empty((x.shape[0], weight.shape[0], *counts), x.dtype)
    arrays = [None if a is None else contiguous(a) for a in (x, weight, bias)]
    grid = tiles(weight.shape[0] // groups, x.shape[0] * math.prod(counts), groups)
    shape = described(x, weight, geometry, groups, 1)
    cuda_function(FILE, f"{kernel}_{suffix(x)}")(grid, (THREADS,), (y, *arrays, shape))
    return WithExtras(y, (geometry, groups))


@cuda_kernel("Conv2d.backward", accepts=is_gradient)
def conv2d_backward(
    g: Array, x: Array, weight: Array, extras: tuple[Any, int], needs_input_grad: Any
) -> tuple[Any, ...]:
    (need_x, need_weight, need_bias, *_), (geometry, groups) = needs_input_grad, extras
    g, x, weight = contiguous(g), contiguous(x), contiguous(weight)
    dx = gradient_of_images(g, x, weight, geometry, groups) if need_x else None
    dweight = gradient_of_filters(g, x, weight, geometry, groups) if need_weight else None
    dbias = gradient_of_bias(g) if need_bias else None
    return dx, dweight, dbias, None, None


def is_gradient_of_relu(
    g: Array, x: Array, weight: Array, y: Array, extras: Any, **options: Any
) -> bool:
    """Whether the kernels take the gradient of what the forward twin computed."""
    return is_float(g, x, weight, y, wide=True)


@cuda_kernel("Conv2dRelu.backward", accepts=is_gradient_of_relu)
def conv2d_relu_backward(
    g: Array,
    x: Array,
    weight: Array,
    y: Array,
    extras: tuple[Any, int],
    needs_input_grad: Any,
) -> tuple[Any, ...]:
    (dz,) = sloped("relu")(g, y, needs_input_grad)
    return conv2d_backward(dz, x, weight, extras, needs_input_grad)


def gradient_of_images(g: Array, x: Array, weight: Array, geometry: Any, groups: int) -> Array:
    """∂L/∂x: for each pixel, the gradients of the windows that hold it, times their filters."""
    dx = namespace(x).empty_like(x)
    grid = tiles(x.shape[1] // groups, x.shape[0] * x.shape[2] * x.shape[3], groups)
    shape = described(x, weight, geometry, groups, 1)
    cuda_function(FILE, f"conv2d_dx_{suffix(x)}")(grid, (THREADS,), (dx, g, weight, shape))
    return dx


def gradient_of_filters(g: Array, x: Array, weight: Array, geometry: Any, groups: int) -> Array:
    """∂L/∂weight: sums over all windows, split among blocks, and the parts added in their order."""
    dweight = namespace(x).empty_like(weight)
    terms = g.shape[0] * g.shape[2] * g.shape[3]
    blocks = math.prod(tiles(weight.shape[0] // groups, math.prod(weight.shape[1:]), groups))
    splits = max(1, min(BLOCKS // max(blocks, 1), terms // SHARE, GRID // groups))
    parts = dweight if splits == 1 else namespace(x).empty((splits, *weight.shape), x.dtype)
    grid = tiles(weight.shape[0] // groups, math.prod(weight.shape[1:]), groups * splits)
    shape = described(x, weight, geometry, groups, splits)
    cuda_function(FILE, f"conv2d_dweight_{suffix(x)}")(grid, (THREADS,), (parts, g, x, shape))
    if splits > 1:
        cuda_function(FILE, f"sum_splits_{suffix(x)}")(
            (-(-weight.size // THREADS),),
            (THREADS,),
            (dweight, parts, int64(weight.size), int32(splits)),
        )
    return dweight


def gradient_of_bias(g: Array) -> Array:
    """∂L/∂bias: the sum over images and windows."""
    n, filters, *counts = g.shape
    dbias: Array = namespace(g).empty((filters,), g.dtype)
    cuda_function(FILE, f"conv2d_dbias_{suffix(g)}")(
        (filters,), (THREADS,), (dbias, g, int32(n), int32(filters), int32(math.prod(counts)))
    )
    return dbias


def tiles(rows: int, cols: int, deep: int) -> tuple[int, int, int]:
    """The grid of a product with so many rows and columns, `deep` of them side by side."""
    return -(-cols // TILE), -(-rows // TILE), deep


def described(x: Array, weight: Array, geometry: Any, groups: int, splits: int) -> bytes:
    """The struct Convolution of the kernels."""
    windows = packed(geometry, x.shape[2:], counts_of(geometry, x.shape[2:]))
    channels, filters = x.shape[1] // groups, weight.shape[0] // groups
    return windows + struct.pack("5i", x.shape[0], channels, filters, groups, splits)


def by_columns(x: Array, weight: Array, bias: Array | None, geometry: Any, groups: int) -> Array:
    """Step 1: every window written out as a column, and the filters times that matrix."""
    columns = columns_of(x, geometry)  # (C, KH, KW, N, OH, OW)
    filters = weight.reshape(groups, weight.shape[0] // groups, -1)
    y = product(filters, columns.reshape(groups, filters.shape[2], -1))  # (G, O/G, N·OH·OW)
    images = y.reshape(weight.shape[0], *columns.shape[3:]).transpose(1, 0, 2, 3)
    return contiguous(images if bias is None else images + bias[:, None, None])


def by_tiles(x: Array, weight: Array, bias: Array | None, geometry: Any, groups: int) -> Array:
    """Step 2: what the twin runs."""
    y: Array = conv2d(x, weight, bias, geometry, groups).y
    return y


def _step(file: str, name: str, run: Callable[..., Array]) -> Step:
    def prepare(x: Array, weight: Array, *options: Any) -> partial[Array]:
        if not is_convolution(x, weight, *options):
            raise ValueError(
                f"step {name} of conv2d: takes what is_convolution allows, but got images "
                f"{x.dtype} {x.shape} and filters {weight.dtype} {weight.shape}"
            )
        return partial(run, x, weight, *options)

    return Step(file, name, prepare)


enter(
    "Conv2d",
    _step("conv2d/01_im2col.cu", "im2col", by_columns),
    _step(FILE, "implicit_gemm", by_tiles),
)
