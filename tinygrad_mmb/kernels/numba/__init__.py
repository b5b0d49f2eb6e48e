"""Ops as loops that numba compiles: the middle step between NumPy and CUDA, to read and rewrite.

    with tm.use_kernels("numba"): ...           or, for the whole process, MMB_KERNELS=numba

One file an op, each a textbook's loop over numbers. numba (pip install 'tinygrad-mmb[jit]') is
imported, and a loop compiled, when it first runs: about a second, which nobody pays unasked; the
machine code is kept for the next process. With NUMBA_DISABLE_JIT=1 the loops run as plain Python,
so that a debugger steps through them.
"""
