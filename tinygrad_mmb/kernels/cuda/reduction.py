"""Sums, means, the largest and the smallest over any dimensions, and where those two are.

A reduction is a sequence of launches: over each group of neighbouring dimensions that goes, from
the innermost outwards; and twice where one group is so long that several blocks share it.
"""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any, NamedTuple

from tinygrad_mmb.backend import Array, float32, int64, namespace
from tinygrad_mmb.kernels.cuda.softmax import THREADS
from tinygrad_mmb.kernels.launch import (
    contiguous,
    cuda_function,
    cuda_kernel,
    float64,
    int32,
    is_float,
    suffix,
)
from tinygrad_mmb.kernels.launch import float32 as c_float
from tinygrad_mmb.kernels.launch import int64 as c_long
from tinygrad_mmb.kernels.launch.rows import LONGEST, PACK, around, plan_rows, power_of_two

Dims = tuple[int, ...] | None
BLOCKS = 1024  # blocks that keep any GPU busy; a number, so that all GPUs give the same bits
LEAST_PACKS = 1024  # of a part of a row: four for each thread of a block
LEAST_ROWS = 32  # of a part of a column, for each thread of a block


class Group(NamedTuple):
    """Neighbouring dimensions that all stay or all go, as one."""

    size: int
    goes: bool


def sums(x: Array, dims: Dims, keepdim: bool) -> bool:
    """Whether the kernels can add up x."""
    return is_float(x) and x.size < LONGEST


def chooses(x: Array, dims: Dims = None, keepdim: bool = False) -> bool:
    """Whether the kernels can choose among x: there is something to choose from."""
    return sums(x, dims, keepdim) and x.size > 0


def points(x: Array, dim: int | None, keepdim: bool) -> bool:
    """Whether the kernels can say where among x something is."""
    return chooses(x) and x.ndim > 0


def sums_to(x: Array, shape: tuple[int, ...]) -> bool:
    """Whether x was broadcast from `shape`."""
    lead = x.ndim - len(shape)
    return (
        lead >= 0
        and sums(x, None, False)
        and all(n in (1, m) for n, m in zip(shape, x.shape[lead:], strict=True))
    )


@cuda_kernel("Sum", accepts=sums)
def sum(x: Array, dims: Dims, keepdim: bool) -> Array:
    return reduced("sum", x, dims, keepdim)


@cuda_kernel("Mean", accepts=sums)
def mean(x: Array, dims: Dims, keepdim: bool) -> Array:
    count = math.prod(x.shape if dims is None else [x.shape[d] for d in dims])
    return reduced("sum", x, dims, keepdim, float(count))


@cuda_kernel("SumTo", accepts=sums_to)
def sum_to(x: Array, shape: tuple[int, ...]) -> Array:
    lead = x.ndim - len(shape)
    dims = (*range(lead), *[lead + d for d, n in enumerate(shape) if n == 1])
    return reduced("sum", x, dims, True).reshape(shape)


@cuda_kernel("Amax", accepts=chooses)
def amax(x: Array, dims: Dims, keepdim: bool) -> Array:
    return reduced("max", x, dims, keepdim)


@cuda_kernel("Amin", accepts=chooses)
def amin(x: Array, dims: Dims, keepdim: bool) -> Array:
    return reduced("min", x, dims, keepdim)


@cuda_kernel("MaxOfAll", accepts=chooses)
def max_of_all(x: Array) -> Array:
    return reduced("max", x, None, False)


@cuda_kernel("MinOfAll", accepts=chooses)
def min_of_all(x: Array) -> Array:
    return reduced("min", x, None, False)


@cuda_kernel("Argmax", accepts=points)
def argmax(x: Array, dim: int | None, keepdim: bool) -> Array:
    return found("argmax", x, dim, keepdim)[1]


@cuda_kernel("Argmin", accepts=points)
def argmin(x: Array, dim: int | None, keepdim: bool) -> Array:
    return found("argmin", x, dim, keepdim)[1]


@cuda_kernel("MaxAlong", accepts=points)
def max_along(x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
    return found("argmax", x, dim, keepdim)


@cuda_kernel("MinAlong", accepts=points)
def min_along(x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
    return found("argmin", x, dim, keepdim)


def reduced(op: str, x: Array, dims: Dims, keepdim: bool, divisor: float = 1.0) -> Array:
    """x reduced over `dims`: all sums and extremes end here."""
    goes = [dims is None or d in dims for d in range(x.ndim)]
    kept = tuple([1 if gone else n for gone, n in zip(goes, x.shape, strict=True)])
    order = sorted(range(x.ndim), key=lambda d: -abs(x.strides[d]))  # as it lies in memory
    lying = x.transpose(order)
    if not lying.flags.c_contiguous:
        order, lying = list(range(x.ndim)), contiguous(x)
    y = of_groups(op, lying, groups_of(lying.shape, [goes[d] for d in order]), divisor)
    y = y.reshape([kept[d] for d in order])
    y = y.transpose([order.index(d) for d in range(x.ndim)])
    if keepdim:
        return y
    return y.reshape([n for gone, n in zip(goes, x.shape, strict=True) if not gone])


def groups_of(shape: tuple[int, ...], goes: list[bool]) -> list[Group]:
    """The dimensions as groups; those of size 1 belong to any."""
    real = [(n, gone) for n, gone in zip(shape, goes, strict=True) if n != 1]
    return [
        Group(math.prod([n for n, _ in members]), gone)
        for gone, members in groupby(real, key=lambda member: member[1])
    ]


def of_groups(op: str, x: Array, groups: list[Group], divisor: float) -> Array:
    """x, which lies in rows, without the groups that go."""
    sizes = [group.size for group in groups]
    going = [i for i, group in enumerate(groups) if group.goes]
    if not going:
        return x.copy()
    target = x.dtype
    for i in reversed(going):
        last = i == going[0]
        # parts of a sum of float16 stay in float32
        dtype = target if last or op != "sum" or x.itemsize > 2 else float32
        around_it = math.prod(sizes[:i]), sizes[i], math.prod(sizes[i + 1 :])
        x = of_group(op, x, around_it, divisor if last else 1.0, dtype)
        sizes[i] = 1
    return x


def of_group(op: str, x: Array, sizes: tuple[int, int, int], divisor: float, dtype: Any) -> Array:
    """x (outer, n, inner) → (outer, inner), by two launches if the columns are long and few."""
    outer, n, inner = sizes
    launch = columns if inner != 1 else rows
    parts = parts_of(outer, n, inner, x.itemsize)
    if parts > 1:
        chunk = -(-n // parts)
        chunk += -chunk % (PACK // x.itemsize)  # so that parts begin at packs if rows do
        wide = float32 if op == "sum" and x.itemsize == 2 else x.dtype
        x, n = launch(op, x, sizes, chunk, 1.0, wide), -(-n // chunk)
    return launch(op, x, (outer, n, inner), max(n, 1), divisor, dtype)


def parts_of(outer: int, n: int, inner: int, itemsize: int) -> int:
    """Into how many parts the n of (outer, n, inner) is cut, for different blocks."""
    if inner == 1:
        return min(-(-BLOCKS // max(outer, 1)), n * itemsize // (PACK * LEAST_PACKS))
    across, per_thread = tile(inner, itemsize)
    blocks = max(outer, 1) * -(-inner // (across * per_thread))
    return min(-(-BLOCKS // max(blocks, 1)), n // (LEAST_ROWS * (256 // across)))


def tile(inner: int, itemsize: int) -> tuple[int, int]:
    """(threads side by side, columns of each): packs where all rows begin at packs."""
    pack = PACK // itemsize
    per_thread = pack if inner % pack == 0 else 1
    return min(32, power_of_two(-(-inner // per_thread))), per_thread


def rows(
    op: str, x: Array, sizes: tuple[int, int, int], chunk: int, divisor: float, dtype: Any
) -> Array:
    """x (outer, n) → y (outer, parts), each part the result of `chunk` numbers."""
    outer, n, _ = sizes
    y = namespace(x).empty(outer * max(1, -(-n // chunk)), dtype=dtype)
    plan = plan_rows(chunk, x.itemsize, held=8)
    lengths = c_long(outer), c_long(n), c_long(chunk)
    cuda_function("reduction.cu", kernel_name(f"{op}_rows", x, y))(
        (*plan.grid(outer), max(1, -(-n // chunk))),
        (plan.threads,),
        (y, x, *lengths, as_computed(divisor, x), int32(plan.team)),
    )
    return y


def columns(
    op: str, x: Array, sizes: tuple[int, int, int], chunk: int, divisor: float, dtype: Any
) -> Array:
    """x (outer, n, inner) → y (outer, parts, inner)."""
    outer, n, inner = sizes
    parts = max(1, -(-n // chunk))
    y = namespace(x).empty(outer * parts * inner, dtype=dtype)
    across, per_thread = tile(inner, x.itemsize)
    tiles = -(-inner // (across * per_thread))
    name = f"{op}_columns" if per_thread == 1 else f"{op}_columns_packed"
    lengths = c_long(n), c_long(inner), c_long(chunk)
    cuda_function("reduction.cu", kernel_name(name, x, y))(
        (tiles * outer, parts),
        (across, 256 // across),
        (y, x, *lengths, as_computed(divisor, x), int32(tiles)),
    )
    return y


def kernel_name(name: str, x: Array, y: Array) -> str:
    """With the dtypes: sum_rows_f32, or sum_rows_f16_f32 where y has another."""
    return f"{name}_{suffix(x)}" + (f"_{suffix(y)}" if x.dtype != y.dtype else "")


def as_computed(value: float, x: Array) -> Any:
    """A number in the C type that the kernels compute with."""
    return float64(value) if x.itemsize == 8 else c_float(value)


def found(op: str, x: Array, dim: int | None, keepdim: bool) -> tuple[Array, Array]:
    """(value, place) of the first largest or smallest along a dimension, or in x.flatten()."""
    xp, x = namespace(x), contiguous(x)
    outer, n, inner = (1, x.size, 1) if dim is None else around(x.shape, dim)
    kept = [1 if dim in (None, d) else size for d, size in enumerate(x.shape)]
    shape = kept if keepdim else [size for d, size in enumerate(kept) if dim not in (None, d)]
    value, where = xp.empty(outer * inner, dtype=x.dtype), xp.empty(outer * inner, dtype=int64)
    if inner != 1:
        count = outer * inner
        cuda_function("reduction.cu", f"{op}_columns_{suffix(x)}")(
            (-(-count // THREADS),),
            (THREADS,),
            (where, value, x, c_long(count), c_long(n), c_long(inner)),
        )
        return value.reshape(shape), where.reshape(shape)
    known, parts = None, parts_of(outer, n, 1, x.itemsize)
    if parts > 1:
        chunk = -(-n // parts)
        chunk += -chunk % (PACK // x.itemsize)
        parts = -(-n // chunk)
        values, known = xp.empty(outer * parts, dtype=x.dtype), xp.empty(outer * parts, dtype=int64)
        find_in_rows(op, known, values, x, None, (outer, n, chunk))
        x, n = values, parts
    find_in_rows(op, where, value, x, known, (outer, n, max(n, 1)))
    return value.reshape(shape), where.reshape(shape)


def find_in_rows(
    op: str,
    where: Array,
    value: Array,
    x: Array,
    known: Array | None,
    sizes: tuple[int, int, int],
) -> None:
    """Launch the search in parts of rows."""
    outer, n, chunk = sizes
    plan = plan_rows(chunk, x.itemsize, held=8)
    cuda_function("reduction.cu", f"{op}_rows_{suffix(x)}")(
        (*plan.grid(outer), -(-n // chunk)),
        (plan.threads,),
        (where, value, x, known, *map(c_long, sizes), int32(plan.team)),
    )
