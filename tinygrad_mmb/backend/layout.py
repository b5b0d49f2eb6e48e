"""How new arrays lie in memory: as PyTorch lays them, which decides what a later reshape shares.

Source: the ordering of dimensions in PyTorch's TensorIterator.
"""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.backend.arrays import Array, DType, is_array, namespace

Strides = tuple[int, ...]


def in_rows(y: Array) -> Array:
    """y with its last dimension innermost: itself if it is so already, else a copy."""
    return y if y.flags.c_contiguous else y.copy(order="C")


def empty_in_layout_of(x: Array, dtype: DType | None = None) -> Array:
    """New memory without gaps for the shape of x, its dimensions in the same order as in x."""
    dtype = x.dtype if dtype is None else dtype
    if x.flags.c_contiguous:
        return namespace(x).empty(x.shape, dtype)
    return empty(namespace(x), x.shape, dtype, [x.strides])


def cast_in_layout(x: Array, dtype: DType) -> Array:
    """A copy of x in another dtype, its dimensions in the same order in memory."""
    if x.flags.c_contiguous:
        return x.astype(dtype)
    y = empty_in_layout_of(x, dtype)
    y[...] = x
    return y


def led_by_operands(y: Array, operands: list[Any]) -> Array:
    """The result of an operation on operands that broadcast, as they lie: the first one leads.

    NumPy lays the result in rows where operands disagree.
    """
    for x in operands:
        if is_array(x) and not x.flags.c_contiguous:
            break
    else:
        return y
    shown = [namespace(y).broadcast_to(x, y.shape).strides for x in operands if is_array(x)]
    laid = empty(namespace(y), y.shape, y.dtype, shown)
    if laid.strides == y.strides:
        return y
    laid[...] = y
    return laid


def empty(xp: Any, shape: tuple[int, ...], dtype: DType, operands: list[Strides]) -> Array:
    """Memory without gaps: dimensions with larger strides outside, the first operand leading.

    A stride of 0 (after expand) tells nothing: then the next operand is asked, and a dimension that
    no operand speaks of stays where it stands.
    """

    def inside_out(a: int, b: int) -> int:
        """Whether dimension a, now further inside than b, should (1) or must not (-1) change."""
        for strides in operands:
            s, t = strides[a], strides[b]
            if s == 0 or t == 0 or (s == t and shape[a] <= shape[b]):
                continue
            return -1 if s < t else 1
        return 0

    order = list(range(len(shape)))[::-1]  # innermost first
    for i in range(1, len(shape)):
        inner = i
        for outer in range(i - 1, -1, -1):
            verdict = inside_out(order[outer], order[inner])
            if verdict < 0:
                break
            if verdict > 0:
                order[outer], order[inner] = order[inner], order[outer]
                inner = outer
    dims = order[::-1]
    memory = xp.empty([shape[d] for d in dims], dtype)
    return memory.transpose([dims.index(d) for d in range(len(shape))])
