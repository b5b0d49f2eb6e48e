"""Three CUDA kernels written in Python with numba, to read beside the C++ of csrc/cuda/kernels.

    import tinygrad_mmb.kernels.numba_cuda
    with tm.use_kernels("numba_cuda"): ...

They run on CuPy arrays on a GPU, and on NumPy arrays in numba's simulator, which
NUMBA_ENABLE_CUDASIM=1, set before numba is imported, switches on. They need numba-cuda:
pip install 'tinygrad-mmb[numba-cuda]'. What to know of numba here:

- `cuda.shared.array` calls must stand on lines of their own: the simulator knows an array by its
  line, and two on one line are silently the same array.
- The simulator has no warp shuffles; these kernels reduce through shared memory.
- A `syncthreads` that only some threads of a block reach hangs a GPU; the simulator lets it pass.
"""

from tinygrad_mmb.kernels.numba_cuda import matmul, sgd, softmax

__all__ = ["matmul", "sgd", "softmax"]
