"""C = A B by blocks: a block of B that fits into the first-level cache is used for every row of A.

    C[i, j] += A[i, k] · B[k, j],    j innermost: it walks B and C in the order of memory, so that
                                     one instruction multiplies and adds 4 to 16 neighbours

BLAS is 2 to 3 times faster at 64 x 64, and 4 times and more beyond: it keeps a tile of C in
registers, copies the blocks so that they lie in the order of use, and knows the machine. So
products above LARGEST are left to it: this file is here to be read, and to be bettered.
"""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.launch.arguments import contiguous, is_float
from tinygrad_mmb.kernels.numba.compile import jit_sums, numba_kernel

BLOCK = 64  # 64 · 64 float64 are 32 KiB, the first-level cache of most processors
LARGEST = 64**3  # multiplications and additions


@jit_sums
def matmul_blocks(c: Any, a: Any, b: Any, block: int) -> None:
    rows, inner = a.shape
    cols = b.shape[1]
    for first_k in range(0, inner, block):
        for first_j in range(0, cols, block):
            for i in range(rows):
                row_c = c[i, first_j : first_j + block]  # a view; it ends where the row ends
                for k in range(first_k, min(first_k + block, inner)):
                    row_b, factor = b[k, first_j : first_j + block], a[i, k]
                    for j in range(row_c.size):
                        row_c[j] += factor * row_b[j]


def are_small_matrices(a: Array, b: Array) -> bool:
    """Whether A and B are matrices that fit, with few enough products."""
    matrices = is_float(a, b, wide=True) and a.ndim == b.ndim == 2 and a.shape[1] == b.shape[0]
    return matrices and a.size * b.shape[1] <= LARGEST


@numba_kernel("MatMul", accepts=are_small_matrices)
def matmul(a: Array, b: Array) -> Array:
    c: Array = namespace(a).zeros((a.shape[0], b.shape[1]), a.dtype)
    matmul_blocks(c, contiguous(a), contiguous(b), BLOCK)
    return c
