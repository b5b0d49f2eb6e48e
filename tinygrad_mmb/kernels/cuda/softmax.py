"""Softmax along any dimension, and its gradient."""

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
from tinygrad_mmb.kernels.launch.rows import LONGEST, around, plan_rows, shared_memory
from tinygrad_mmb.kernels.registry import WithExtras

HELD = {2: 4, 4: 8, 8: 4}  # packs that a thread keeps in registers, by bytes of a number
HELD_OF_TWO = {2: 2, 4: 4, 8: 4}  # of each of two rows
THREADS = 128  # of a block in which each has a column of its own


def runs_along(x: Array, dim: int) -> bool:
    """Whether the kernels can walk along `dim` of x."""
    return is_float(x) and 0 <= dim < x.ndim and max(x.shape) < LONGEST


def runs_back_along(g: Array, y: Array, dim: int, **options: Any) -> bool:
    """Whether the kernels of the way back can; `dim` is what the forward twin left."""
    return is_float(g, y) and g.shape == y.shape


@cuda_kernel("Softmax", accepts=runs_along)
def softmax(x: Array, dim: int) -> WithExtras:
    return WithExtras(along("softmax", x, dim), dim)


@cuda_kernel("Softmax.backward", accepts=runs_back_along)
def softmax_backward(g: Array, y: Array, dim: int, needs_input_grad: Any) -> tuple[Array, None]:
    return back_along("softmax", g, y, dim, HELD_OF_TWO), None


def along(name: str, x: Array, dim: int) -> Array:
    """y like x, of <name>.cu: <name>_rows along the last dimension, else <name>_columns."""
    x = contiguous(x)
    y = namespace(x).empty_like(x)
    outer, n, inner = around(x.shape, dim)
    if inner != 1:
        columns(name, (y, x), outer, n, inner)
    elif n:
        plan = plan_rows(n, x.itemsize, HELD[x.itemsize], shared_memory(x))
        sizes = int32(outer), int32(n), int32(plan.team), int32(plan.slots)
        cuda_function(f"{name}.cu", f"{name}_rows_{plan.kind}_{suffix(x)}")(
            plan.grid(outer), (plan.threads,), (y, x, *sizes), plan.shared
        )
    return y


def back_along(name: str, g: Array, y: Array, dim: int, held: dict[int, int]) -> Array:
    """∂L/∂x from ∂L/∂y and y, of <name>.cu: <name>_rows_backward or <name>_columns_backward."""
    g, y = contiguous(g), contiguous(y)
    dx = namespace(y).empty_like(y)
    outer, n, inner = around(y.shape, dim)
    if inner != 1:
        columns(name, (dx, g, y), outer, n, inner)
    elif n:
        plan = plan_rows(n, y.itemsize, held[y.itemsize])
        cuda_function(f"{name}.cu", f"{name}_rows_backward_{plan.kind}_{suffix(y)}")(
            plan.grid(outer), (plan.threads,), (dx, g, y, int32(outer), int32(n), int32(plan.team))
        )
    return dx


def columns(name: str, arrays: tuple[Array, ...], outer: int, n: int, inner: int) -> None:
    """Run <name>_columns, or its way back if there are three arrays, with a thread per column."""
    kernel = f"{name}_columns" + ("_backward" if len(arrays) == 3 else "")
    count = outer * inner
    cuda_function(f"{name}.cu", f"{kernel}_{suffix(arrays[0])}")(
        (-(-count // THREADS),), (THREADS,), (*arrays, int64(count), int32(n), int64(inner))
    )
