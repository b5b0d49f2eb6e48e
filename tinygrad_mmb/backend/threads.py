"""How many threads compute: those of the BLAS below NumPy, which runs the matrix products."""

from __future__ import annotations

from tinygrad_mmb.backend.blas import blas_threads, set_blas_threads


def get_num_threads() -> int:
    """The number of threads of matrix products; 1 if this BLAS does not say."""
    return blas_threads() or 1


def set_num_threads(n: int) -> None:
    """Let matrix products use `n` threads.

    Raises: TypeError for what is no int, RuntimeError for fewer than one thread or a BLAS that
    cannot be told.
    """
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    if n < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, but got {n}")
    if not set_blas_threads(n):
        raise RuntimeError(
            "set_num_threads: this BLAS cannot be told at run time. Set OPENBLAS_NUM_THREADS, "
            "MKL_NUM_THREADS or VECLIB_MAXIMUM_THREADS before Python starts."
        )
