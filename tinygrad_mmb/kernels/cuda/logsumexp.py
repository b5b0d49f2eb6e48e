"""ln Σ exp x over neighbouring dimensions, and its gradient."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.cuda.softmax import THREADS
from tinygrad_mmb.kernels.launch import (
    contiguous,
    cuda_function,
    cuda_kernel,
    int32,
    int64,
    is_float,
    suffix,
)
from tinygrad_mmb.kernels.launch.rows import LONGEST, plan_rows, shared_memory
from tinygrad_mmb.kernels.registry import WithExtras

Dims = tuple[int, ...] | None
HELD = {2: 2, 4: 8, 8: 4}  # packs that a thread keeps in registers, by bytes of a number


def over_neighbours(x: Array, dims: Dims, keepdim: bool) -> bool:
    """Whether the dimensions lie side by side, so that they are one."""
    if not is_float(x) or not x.ndim or not x.size:
        return False
    return (dims is None or dims == tuple(range(dims[0], dims[-1] + 1))) and grouped(x.shape, dims)[
        1
    ] < LONGEST


def grouped(shape: tuple[int, ...], dims: Dims) -> tuple[int, int, int]:
    """(outer, n, inner): how many lie before, in and after the dimensions."""
    first, last = (0, len(shape) - 1) if dims is None else (dims[0], dims[-1])
    return (
        math.prod(shape[:first]),
        math.prod(shape[first : last + 1]),
        math.prod(shape[last + 1 :]),
    )


@cuda_kernel("LogSumExp", accepts=over_neighbours)
def logsumexp(x: Array, dims: Dims, keepdim: bool) -> WithExtras:
    x = contiguous(x)
    outer, n, inner = grouped(x.shape, dims)
    kept = tuple([1 if dims is None or d in dims else size for d, size in enumerate(x.shape)])
    y = namespace(x).empty(kept, dtype=x.dtype)
    if inner != 1:
        count = outer * inner
        cuda_function("logsumexp.cu", f"logsumexp_columns_{suffix(x)}")(
            (-(-count // THREADS),), (THREADS,), (y, x, int64(count), int32(n), int64(inner))
        )
    else:
        plan = plan_rows(n, x.itemsize, HELD[x.itemsize], shared_memory(x))
        sizes = int32(outer), int32(n), int32(plan.team), int32(plan.slots)
        cuda_function("logsumexp.cu", f"logsumexp_rows_{plan.kind}_{suffix(x)}")(
            plan.grid(outer), (plan.threads,), (y, x, *sizes), plan.shared
        )
    if not keepdim:
        y = y.reshape([n for d, n in enumerate(kept) if dims is not None and d not in dims])
    return WithExtras(y, (n, inner))


@cuda_kernel("LogSumExp.backward", accepts=lambda g, x, y, sizes, **options: is_float(g, x, y))
def logsumexp_backward(
    g: Array, x: Array, y: Array, sizes: tuple[int, int], needs_input_grad: Any
) -> tuple[Array, None, None]:
    g, x, y = contiguous(g), contiguous(x), contiguous(y)
    dx = namespace(x).empty_like(x)
    n, inner = sizes
    blocks = min(-(-x.size // 256), 4096)  # enough for any GPU; each then walks on
    cuda_function("logsumexp.cu", f"logsumexp_backward_{suffix(x)}")(
        (blocks,), (256,), (dx, g, x, y, int64(x.size), int64(n), int64(inner))
    )
    return dx, None, None
