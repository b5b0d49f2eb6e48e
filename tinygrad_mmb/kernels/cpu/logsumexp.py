"""ln Σ exp x over neighbouring dimensions, and its gradient."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.cpu.native import are_floats, cpu_kernel, native
from tinygrad_mmb.kernels.launch import contiguous
from tinygrad_mmb.kernels.registry import WithExtras

Dims = tuple[int, ...] | None


def over_neighbours(x: Array, dims: Dims, keepdim: bool) -> bool:
    """Whether the dimensions lie side by side, so that they are one."""
    if not are_floats(x) or not x.ndim or not x.size:
        return False
    return dims is None or dims == tuple(range(dims[0], dims[-1] + 1))


@cpu_kernel("LogSumExp", accepts=over_neighbours)
def logsumexp(x: Array, dims: Dims, keepdim: bool) -> WithExtras:
    x = contiguous(x)
    first, last = (0, x.ndim - 1) if dims is None else (dims[0], dims[-1])
    before, over, after = x.shape[:first], x.shape[first : last + 1], x.shape[last + 1 :]
    kept = (1,) * len(over) if keepdim else ()
    y = namespace(x).empty((*before, *kept, *after), x.dtype)
    sizes = math.prod(before), math.prod(over), math.prod(after)
    native.logsumexp(y, x, *sizes)
    return WithExtras(y, sizes)


@cpu_kernel("LogSumExp.backward", accepts=lambda g, x, y, sizes, **options: are_floats(g, x, y))
def logsumexp_backward(
    g: Array, x: Array, y: Array, sizes: tuple[int, int, int], needs_input_grad: Any
) -> tuple[Array, None, None]:
    x = contiguous(x)
    dx = namespace(x).empty(x.shape, x.dtype)
    native.logsumexp_backward(dx, contiguous(g), x, contiguous(y), *sizes)
    return dx, None, None
