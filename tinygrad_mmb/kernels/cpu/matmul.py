"""Products of matrices: small, thin, transposed and batched ones; big plain ones are the BLAS's."""

from __future__ import annotations

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.cpu.native import are_floats, cpu_kernel, native

# Multiplications in one product from which on the BLAS below NumPy is as fast or faster.
LARGE = 256**3


def fits(a: Array, b: Array) -> bool:
    """Whether the kernel multiplies these; the reference says what is wrong with others."""
    if not are_floats(a, b) or a.ndim < 2 or b.ndim < 2:  # a vector's product is one pass
        return False
    (m, k), (rows, n) = a.shape[-2:], b.shape[-2:]
    if rows != k or m * n * k > LARGE:
        return False
    if a.ndim == 2 == b.ndim:
        return True
    sizes = zip(a.shape[-3::-1], b.shape[-3::-1], strict=False)
    return a.ndim <= 16 >= b.ndim and all(i == j or 1 in (i, j) for i, j in sizes)


@cpu_kernel("MatMul", accepts=fits)
def matmul(a: Array, b: Array) -> Array:
    return native.matmul(a, b)
