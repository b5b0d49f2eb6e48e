// y = softmax(x) over the last dimension, one block per row.
//
//   x, y   (rows, cols), contiguous; cols may be any size, 0 too
//   grid   (rows); block a multiple of 32, at most 1024
//   bytes  2 · rows · cols · sizeof(T) from DRAM; the 2nd and 3rd reading of x should hit the cache
#include "reduce.cuh"

template <class T>
__global__ void softmax_rows(T* __restrict__ y, const T* __restrict__ x, int cols) {
    const size_t row = static_cast<size_t>(blockIdx.x) * cols;  // 64 bit: rows · cols may pass 2³¹
    T m = -INFINITY;                                            // exp(x - max) cannot overflow
    for (int j = threadIdx.x; j < cols; j += blockDim.x) m = larger(m, x[row + j]);
    m = block_max(m);
    T s = 0;
    for (int j = threadIdx.x; j < cols; j += blockDim.x) s += exp(x[row + j] - m);
    s = block_sum(s);
    for (int j = threadIdx.x; j < cols; j += blockDim.x) y[row + j] = exp(x[row + j] - m) / s;
}

MMB_KERNEL_AS(softmax_rows_f32, softmax_rows<float>);
MMB_KERNEL_AS(softmax_rows_f64, softmax_rows<double>);
