"""C = A B through tiles in shared memory, one thread per number of C.

Each number of A and B is read from DRAM ⌈N/TILE⌉ and ⌈M/TILE⌉ times instead of N and M times.
The same step in C++: csrc/cuda/kernels/matmul/03_shared_memory.cu.
"""

from __future__ import annotations

from typing import Any

from numba import cuda

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.launch.arguments import is_float
from tinygrad_mmb.kernels.numba_cuda.launch import is_reachable, stream
from tinygrad_mmb.kernels.registry import kernel

TILE = 16


@cuda.jit
def matmul_tiled(c: Any, a: Any, b: Any) -> None:
    tile_a = cuda.shared.array((TILE, TILE), a.dtype)
    tile_b = cuda.shared.array((TILE, TILE), a.dtype)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, col = cuda.blockIdx.y * TILE + ty, cuda.blockIdx.x * TILE + tx
    total = zero = a.dtype.type(0)
    for first in range(0, a.shape[1], TILE):
        k_a, k_b = first + tx, first + ty
        inside = row < a.shape[0] and k_a < a.shape[1]
        tile_a[ty, tx] = a[row, k_a] if inside else zero
        inside = k_b < b.shape[0] and col < b.shape[1]
        tile_b[ty, tx] = b[k_b, col] if inside else zero
        cuda.syncthreads()  # the tiles are complete
        for k in range(TILE):
            total += tile_a[ty, k] * tile_b[k, tx]
        cuda.syncthreads()  # the tiles may be overwritten
    if row < c.shape[0] and col < c.shape[1]:
        c[row, col] = total


def are_matrices(a: Array, b: Array) -> bool:
    """Whether A and B are matrices that fit; how they lie in memory does not matter."""
    matrices = a.ndim == b.ndim == 2 and a.shape[1] == b.shape[0] and a.size > 0 and b.size > 0
    return matrices and is_float(a, b, wide=True) and is_reachable(a, b)


@kernel("MatMul", backend="numba_cuda", accepts=are_matrices, place=None)
def matmul(a: Array, b: Array) -> Array:
    c = namespace(a).empty((a.shape[0], b.shape[1]), a.dtype)
    blocks = -(-b.shape[1] // TILE), -(-a.shape[0] // TILE)
    matmul_tiled[blocks, (TILE, TILE), stream()](c, a, b)
    return c
