"""How the kernels of csrc/cuda/kernels/matmul/08 to 10 are launched.

Arrays go in as they lie in memory: a transpose, a batch, a broadcast are strides, not copies.
"""

from __future__ import annotations

from typing import NamedTuple

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.backend.arrays import float32 as single
from tinygrad_mmb.kernels.cuda.matmul_plan import (
    DEPTH,
    SM80,
    STAGES,
    Plan,
    capability,
    ceil,
    multiprocessors,
    plan,
)
from tinygrad_mmb.kernels.launch import contiguous, cuda_function, int32, int64, suffix
from tinygrad_mmb.kernels.launch.tensor_map import tensor_map

ACTIVATIONS = {None: 0, "relu": 1, "gelu": 2, "gelu_tanh": 3}  # csrc/cuda/epilogue.cuh
SIMT, MMA, WGMMA = (f"matmul/{f}.cu" for f in ("08_double_buffered", "09_tensor_cores", "10_wgmma"))


def product(
    a: Array,
    b: Array,
    bias: Array | None = None,
    activation: str | None = None,
    z: Array | None = None,
) -> Array:
    """activation(a b + bias): (..., M, K) and (..., K, N) → (..., M, N), by the production kernel.

    `z`, shaped like the result and contiguous, takes a b + bias in the same launch.

    float16 goes to the tensor cores where there are any (sm_80), summed in float32. float32 and
    float64 are exact products summed in their own precision: tf32 is for those who ask, by name.
    """
    rows, depth, cols = a.shape[-2], a.shape[-1], b.shape[-1]
    shape = broadcast(a.shape[:-2], b.shape[:-2])
    y = namespace(a).empty((*shape, rows, cols), dtype=a.dtype)
    if y.size == 0:
        return y
    narrow = a.dtype.name == "float16" and capability(a) >= SM80
    if narrow:
        a, b = for_tensor_cores(a), for_tensor_cores(b)
    batch = batch_of(a, b, shape)
    if batch is None:  # more dimensions than a kernel takes: one of them here
        for i in range(shape[0]):
            part = None if z is None else z[i]
            y[i] = product(at(a, i, len(shape)), at(b, i, len(shape)), bias, activation, part)
        return y
    if narrow:
        return tensor_core_product(y, a, b, bias, activation, batch, "f16", z)
    best = plan(rows, cols, depth, batch.outer * batch.inner, a)
    return simt_product(y, a, b, bias, activation, batch, best, z)


class Batch(NamedTuple):
    """Matrices a and b in up to two batch dimensions, the strides there in numbers."""

    outer: int
    inner: int
    a: tuple[int, int]
    b: tuple[int, int]


ONE = Batch(1, 1, (0, 0), (0, 0))


def batch_of(a: Array, b: Array, shape: tuple[int, ...]) -> Batch | None:
    """How the matrices in the last two dimensions pair up over `shape`; None if that takes more
    than two dimensions.
    """
    merged: list[tuple[int, int, int]] = []  # size and strides, neighbours joined where they may be
    for n, sa, sb in zip(shape, strides_over(a, shape), strides_over(b, shape), strict=True):
        if n == 1:
            continue
        if merged and merged[-1][1:] == (n * sa, n * sb):
            merged[-1] = (merged[-1][0] * n, sa, sb)
        else:
            merged.append((n, sa, sb))
    if len(merged) > 2:
        return None
    (outer, a0, b0), (inner, a1, b1) = [(1, 0, 0)] * (2 - len(merged)) + merged
    return Batch(outer, inner, (a0, a1), (b0, b1))


def strides_over(x: Array, shape: tuple[int, ...]) -> list[int]:
    """Strides of x's batch dimensions, in numbers, as broadcasting to `shape` has them."""
    own = [0 if n == 1 else s // x.itemsize for n, s in zip(x.shape[:-2], x.strides, strict=False)]
    return [0] * (len(shape) - len(own)) + own


def broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The common batch dimensions, which are known to fit."""
    long, short = (a, b) if len(a) >= len(b) else (b, a)
    short = (1,) * (len(long) - len(short)) + short
    return tuple([m if n == 1 else n for m, n in zip(long, short, strict=True)])


def at(x: Array, i: int, dims: int) -> Array:
    """x at place i of the first of `dims` batch dimensions, to which it is broadcast."""
    if x.ndim - 2 < dims:
        return x
    return x[0 if x.shape[0] == 1 else i]


def simt_product(
    y: Array,
    a: Array,
    b: Array,
    bias: Array | None,
    activation: str | None,
    batch: Batch,
    plan: Plan,
    z: Array | None = None,
) -> Array:
    """By 08_double_buffered.cu."""
    tile, splits = plan
    rows, depth, cols = a.shape[-2], a.shape[-1], b.shape[-1]
    batches = batch.outer * batch.inner
    blocks = batches * splits * ceil(rows, tile.rows) * ceil(cols, tile.cols)
    summed = single if y.dtype.name == "float16" else y.dtype
    partial = None
    if splits > 1:
        partial = namespace(y).empty((splits, batches, rows, cols), dtype=summed)
    pack = 16 // summed.itemsize
    stages = 2 if "registers" in tile.name else STAGES
    shared = stages * DEPTH * (tile.rows + tile.cols + 2 * pack) * summed.itemsize
    sizes = map(int32, (rows, cols, depth, splits, batches, batch.inner))
    strides = (*strides_of(a), *strides_of(b), cols, *batch.a, *batch.b)
    act = int32(ACTIVATIONS[activation])
    cuda_function(SIMT, f"matmul_{tile.name}_{suffix(y)}")(
        (blocks,),
        (tile.threads,),
        (y, z, partial, a, b, bias, act, *sizes, *map(int64, strides)),
        shared,
    )
    return y if partial is None else add_splits(y, partial, bias, activation, z)


def add_splits(
    y: Array,
    partial: Array,
    bias: Array | None = None,
    activation: str | None = None,
    z: Array | None = None,
) -> Array:
    """y = activation(Σ partial + bias), the sum over the first dimension, always in its order."""
    cols = y.shape[-1]
    grid = min(ceil(y.size, 256), 8 * multiprocessors(y))
    numbers = int32(ACTIVATIONS[activation]), int32(len(partial)), int32(cols)
    cuda_function(SIMT, f"matmul_add_splits_{suffix(y)}")(
        (grid,), (256,), (y, z, partial, bias, *numbers, int64(cols), int64(y.size))
    )
    return y


def strides_of(x: Array) -> tuple[int, int]:
    """From one row to the next and from one column to the next, in numbers."""
    return x.strides[-2] // x.itemsize, x.strides[-1] // x.itemsize


def tensor_core_product(
    y: Array,
    a: Array,
    b: Array,
    bias: Array | None,
    activation: str | None,
    batch: Batch,
    number: str,
    z: Array | None = None,
) -> Array:
    """By 09_tensor_cores.cu, for operands that are contiguous in rows or in columns."""
    rows, depth, cols = a.shape[-2], a.shape[-1], b.shape[-1]
    (a_layout, lda), (b_layout, ldb) = layout_of(a), layout_of(b)
    batches = batch.outer * batch.inner
    big = batches * ceil(rows, 128) * ceil(cols, 256) >= multiprocessors(y)
    size, tile_rows, tile_cols, threads = (
        ("large", 128, 256, 256) if big else ("small", 64, 64, 128)
    )
    blocks = batches * ceil(rows, tile_rows) * ceil(cols, tile_cols)
    shared = 4 * 64 * (tile_rows + tile_cols)
    strides = (lda, ldb, cols, *batch.a, *batch.b)
    sizes = (ACTIVATIONS[activation], rows, cols, depth, batch.inner)
    cuda_function(MMA, f"matmul_{size}_{a_layout}{b_layout}_{number}")(
        (blocks,),
        (threads,),
        (y, z, a, b, bias, *map(int32, sizes), *map(int64, strides)),
        shared,
    )
    return y


def layout_of(x: Array) -> tuple[str, int]:
    """Rows are contiguous ("n") or columns are ("t"), and how far apart they lie; else ""."""
    down, across = strides_of(x)
    if across == 1 or x.shape[-1] <= 1:
        return "n", down
    if down == 1 or x.shape[-2] <= 1:
        return "t", across
    return "", 0


def for_tensor_cores(x: Array) -> Array:
    """x if rows or columns are contiguous, else a copy, which is counted."""
    return x if layout_of(x)[0] else contiguous(x)


def wgmma_product(
    y: Array,
    a: Array,
    b: Array,
    number: str,
    bias: Array | None = None,
    activation: str | None = None,
    cols: int = 256,
    cluster: int = 1,
    z: Array | None = None,
) -> Array:
    """By 10_wgmma.cu: a (M, K) with contiguous rows and b (K, N) with contiguous columns.

    Raises: ValueError where TMA cannot reach an operand, and for `z`, which this step cannot store.
    """
    rows, depth = a.shape
    if z is not None:
        raise ValueError(
            "wgmma: step 10 does not store what its activation is applied to (z), from which the "
            "way back of a GELU starts. Use step 08 or 09, which do."
        )
    if 0 in (rows, depth, b.shape[1]):
        raise ValueError(
            f"wgmma: shapes {a.shape} and {b.shape}; TMA has no empty boxes. Use a variant without."
        )
    box = 128 // a.itemsize
    map_a, map_b = tensor_map(a, 128, box), tensor_map(b.T, cols // cluster, box)
    by_tma = y.itemsize == 2 and y.shape[1] * y.itemsize % 16 == 0
    map_c = tensor_map(y, 64, 64) if by_tma else map_a  # a map that is not looked at
    tiles = ceil(rows, 128 * cluster) * ceil(y.shape[1], cols)
    blocks = min(tiles, multiprocessors(y) // cluster) * cluster
    staged = 32 * 1024 if y.itemsize == 2 else 0
    shared = 4 * 128 * (128 + cols) + staged + 2 * 4 * 8
    name = f"matmul_wgmma_n{cols}_{'cluster2_' if cluster == 2 else ''}{number}"
    sizes = map(int32, (ACTIVATIONS[activation], rows, y.shape[1], depth))
    cuda_function(WGMMA, name)(
        (blocks,),
        (384,),
        (y, map_a, map_b, map_c, bias, *sizes, int64(y.shape[1]), int32(by_tma)),
        shared,
    )
    return y
