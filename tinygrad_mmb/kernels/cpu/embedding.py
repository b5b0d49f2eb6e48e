"""Rows of a table: looked up, and added up where they were looked up."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb import backend
from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.cpu.native import are_floats, cpu_kernel, native
from tinygrad_mmb.kernels.launch import contiguous
from tinygrad_mmb.kernels.registry import WithExtras


def looks_up(weight: Array, index: Array, share: Array | None) -> bool:
    """Whether the kernels take a table and the places to look up: those of `embedding`."""
    fits = are_floats(weight, share) and weight.ndim == 2 and weight.size > 0
    return fits and are_places(index)


def adds_up(x: Array, index: Array, rows: int) -> bool:
    """Whether the kernels take rows to be added at places of a table."""
    return are_floats(x) and x.size > 0 and are_places(index)


def are_places(index: Array) -> bool:
    """Whether the kernels read these: integers where the processor expects them."""
    return index.dtype in (backend.int64, backend.int32) and index.flags.aligned


@cpu_kernel("Rows", accepts=looks_up)
def rows(weight: Array, index: Array, share: Array | None) -> WithExtras:
    return WithExtras(gathered(weight, index), (weight.shape[0], share))


@cpu_kernel("Rows.backward", accepts=lambda g, index, extras, **_: adds_up(g, index, extras[0]))
def rows_backward(
    g: Array, index: Array, extras: tuple[int, Array | None], needs_input_grad: Any
) -> tuple[Array, None, None]:
    return added(g, index, *extras), None, None


@cpu_kernel("AddRows", accepts=adds_up)
def add_rows(x: Array, index: Array, rows: int) -> Array:
    return added(x, index, rows, None)


@cpu_kernel("AddRows.backward", accepts=lambda g, index, **_: looks_up(g, index, None))
def add_rows_backward(g: Array, index: Array, needs_input_grad: Any) -> tuple[Array, None, None]:
    return gathered(g, index), None, None


def gathered(table: Array, index: Array) -> Array:
    """table[index]."""
    cols = table.shape[1]
    y: Array = namespace(table).empty((*index.shape, cols), table.dtype)
    native.gather_rows(y, contiguous(table), contiguous(index), cols)
    return y


def added(g: Array, index: Array, vectors: int, share: Array | None) -> Array:
    """Zeros of (vectors, cols) with share · g added at the rows that `index` names."""
    cols = g.shape[-1]
    dtable: Array = namespace(g).empty((vectors, cols), g.dtype)
    share = None if share is None else contiguous(share)
    native.add_rows_at(dtable, contiguous(g), contiguous(index), share, cols)
    return dtable
