"""Sums, means and extremes over any dimensions.

NumPy runs a loop of its own for every row: rows of 10 numbers cost it 10 times what they need. Long
rows it adds up at a third of the speed of the caches. But long rows it adds to each other, and the
largest of a long row it finds, as fast as memory allows: these are left to it.
"""

from __future__ import annotations

import math
from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.cpu.native import are_floats, cpu_kernel, native

Dims = tuple[int, ...] | None
FEW = 128  # numbers that the engine adds up as NumPy does, to the bit (csrc/cpu/engine/small.cpp)
LONGEST = 512  # numbers side by side that stay: below it the twin adds up columns faster
LONGEST_CHOICE = 256  # numbers in a row: up to it the twin chooses faster


def sums(x: Array, dims: Dims, keepdim: bool) -> bool:
    """Whether x holds floats in rows, at least one, and few columns if columns are added up."""
    return (
        are_floats(x)
        and x.size > 0
        and x.ndim <= 16  # as many as C++ counts
        and (dims is None or kept_side_by_side(x.shape, dims) < LONGEST)
        and x.flags.c_contiguous
    )


def adds_up(x: Array, dims: Dims, keepdim: bool) -> bool:
    """The same, and a sum of all numbers is one of many."""
    return (dims is not None or x.size > FEW) and sums(x, dims, keepdim)


def chooses(x: Array, dims: Dims, keepdim: bool) -> bool:
    """The same, and some dimensions stay, and the rows are short."""
    some = dims is not None and len(dims) < x.ndim
    return some and x.shape[-1] <= LONGEST_CHOICE and sums(x, dims, keepdim)


def kept_side_by_side(shape: tuple[int, ...], dims: tuple[int, ...]) -> int:
    """How many neighbouring numbers in memory belong to different results."""
    kept = 1
    for d in reversed(range(len(shape))):
        if d in dims:
            break
        kept *= shape[d]
    return kept


def sums_to(x: Array, shape: tuple[int, ...]) -> bool:
    """Whether x was broadcast from `shape`, and the sums are such."""
    lead = x.ndim - len(shape)
    return (
        lead >= 0
        and all(n in (1, m) for n, m in zip(shape, x.shape[lead:], strict=True))
        and sums(x, dims_of_broadcast(x, shape), True)
    )


def dims_of_broadcast(x: Array, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The dimensions of x that `shape` has not, or has as 1."""
    lead = x.ndim - len(shape)
    return (*range(lead), *[lead + d for d, n in enumerate(shape) if n == 1])


def listed(x: Array, dims: Dims) -> list[int]:
    """The dimensions to reduce, as C++ reads them."""
    return [*range(x.ndim)] if dims is None else [*dims]


@cpu_kernel("Sum", accepts=adds_up)
def sum(x: Array, dims: Dims, keepdim: bool) -> Any:
    return native.sum(x, listed(x, dims), keepdim, 1.0)


@cpu_kernel("Mean", accepts=sums)
def mean(x: Array, dims: Dims, keepdim: bool) -> Any:
    count = math.prod([x.shape[d] for d in listed(x, dims)])
    return native.sum(x, listed(x, dims), keepdim, float(count))


@cpu_kernel("SumTo", accepts=sums_to)
def sum_to(x: Array, shape: tuple[int, ...]) -> Any:
    return native.sum(x, [*dims_of_broadcast(x, shape)], True, 1.0).reshape(shape)


@cpu_kernel("Amax", accepts=chooses)
def amax(x: Array, dims: Dims, keepdim: bool) -> Any:
    return native.amax(x, listed(x, dims), keepdim, 1.0)


@cpu_kernel("Amin", accepts=chooses)
def amin(x: Array, dims: Dims, keepdim: bool) -> Any:
    return native.amin(x, listed(x, dims), keepdim, 1.0)
