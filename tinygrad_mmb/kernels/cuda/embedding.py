"""Rows of a table: looked up, and added up where they were looked up."""

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
from tinygrad_mmb.kernels.launch.elements import rows_of_blocks
from tinygrad_mmb.kernels.registry import WithExtras


def looks_up(weight: Array, index: Array, share: Array | None) -> bool:
    """Whether the kernels take a table and the places to look up."""
    return is_float(weight, share) and weight.ndim == 2 and is_index(index)


def adds_up(x: Array, index: Array, rows: int) -> bool:
    """Whether the kernels take rows to be added at places of a table."""
    return is_float(x) and is_index(index)


def looks_up_gradients(g: Array, index: Array, **options: Any) -> bool:
    """Whether the kernels take the gradient of a table of sums."""
    return is_float(g) and is_index(index)


def is_index(index: Array) -> bool:
    """Whether these are whole numbers, of which the op has seen to it that they fit."""
    return index.dtype in (backend.int32, backend.int64)


@cuda_kernel("Rows", accepts=looks_up)
def rows(weight: Array, index: Array, share: Array | None) -> WithExtras:
    return WithExtras(gathered(weight, index), (weight.shape[0], share))


@cuda_kernel("Rows.backward", accepts=lambda g, index, extras, **_: is_float(g))
def rows_backward(g: Array, index: Array, extras: Any, needs_input_grad: Any) -> Any:
    return added(g, index, *extras), None, None


@cuda_kernel("AddRows", accepts=adds_up)
def add_rows(x: Array, index: Array, rows: int) -> Array:
    return added(x, index, rows, None)


@cuda_kernel("AddRows.backward", accepts=looks_up_gradients)
def add_rows_backward(g: Array, index: Array, needs_input_grad: Any) -> Any:
    return gathered(g, index), None, None


def gathered(table: Array, index: Array) -> Array:
    """table[index]."""
    table, cols = contiguous(table), table.shape[1]
    y: Array = namespace(table).empty((*index.shape, cols), table.dtype)
    places = contiguous(index.astype(backend.int64, copy=False))
    grid, block = rows_of_blocks(index.size, -(-cols * table.itemsize // 16))
    cuda_function("embedding.cu", f"gather_rows_{suffix(table)}")(
        grid, block, (y, table, places, int64(index.size), int64(cols))
    )
    return y


def added(g: Array, index: Array, vectors: int, share: Array | None) -> Array:
    """Zeros of (vectors, cols) with share · g added at the rows that `index` names."""
    xp, cols = namespace(g), g.shape[-1]
    dtable: Array = xp.empty((vectors, cols), g.dtype)
    places = index.reshape(-1)
    order = xp.argsort(places, kind="stable")
    starts = xp.searchsorted(places[order], xp.arange(vectors + 1))
    order = order.astype(backend.int64, copy=False)
    starts = starts.astype(backend.int64, copy=False)
    share = None if share is None else contiguous(share)
    grid, block = rows_of_blocks(vectors, cols)
    cuda_function("embedding.cu", f"sum_by_index_{suffix(g)}")(
        grid, block, (dtable, contiguous(g), order, starts, share, int64(vectors), int64(cols))
    )
    return dtable
