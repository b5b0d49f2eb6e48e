"""Softmax over the last dimension, one block per row.

Bytes: 2 · rows · cols · itemsize from DRAM; the 2nd and 3rd reading of x should hit the cache.
"""

from __future__ import annotations

import math
from typing import Any

from numba import cuda

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.launch.arguments import contiguous, is_float
from tinygrad_mmb.kernels.numba_cuda.launch import is_reachable, stream
from tinygrad_mmb.kernels.registry import kernel

THREADS = 128


@cuda.jit
def softmax_rows(y: Any, x: Any) -> None:
    partial = cuda.shared.array(THREADS, x.dtype)
    row, t, cols = cuda.blockIdx.x, cuda.threadIdx.x, x.shape[1]
    largest = x[row, 0]
    for j in range(t, cols, THREADS):
        largest = max(largest, x[row, j])
    partial[t] = largest
    cuda.syncthreads()
    half = THREADS // 2
    while half:  # 64 threads compare with the other 64, then 32 with 32, ...
        if t < half:
            partial[t] = max(partial[t], partial[t + half])
        cuda.syncthreads()
        half //= 2
    largest = partial[0]
    cuda.syncthreads()  # everybody has read it before it is overwritten
    total = x.dtype.type(0)
    for j in range(t, cols, THREADS):
        total += math.exp(x[row, j] - largest)  # exp(x - max) cannot overflow
    partial[t] = total
    cuda.syncthreads()
    half = THREADS // 2
    while half:
        if t < half:
            partial[t] += partial[t + half]
        cuda.syncthreads()
        half //= 2
    for j in range(t, cols, THREADS):
        y[row, j] = math.exp(x[row, j] - largest) / partial[0]


def is_over_rows(x: Array, dim: int) -> bool:
    """Whether `dim` is the last dimension, and not empty."""
    return is_float(x, wide=True) and is_reachable(x) and x.size > 0 and dim == x.ndim - 1


@kernel("Softmax", backend="numba_cuda", accepts=is_over_rows, place=None)
def softmax(x: Array, dim: int) -> Array:
    x = contiguous(x)
    y = namespace(x).empty_like(x)
    rows = x.reshape(-1, x.shape[-1])
    softmax_rows[len(rows), THREADS, stream()](y.reshape(rows.shape), rows)
    return y
