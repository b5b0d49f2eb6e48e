// Ladder of y = softmax(x), step 1: the formula, pass by pass, one block per row.
//
//   x, y    (rows, cols) float, row by row; any cols
//   grid    (rows), block 256
//   bytes   x three times, y once: 16 per number
//
// What is right already: neighbouring threads read neighbouring numbers; exp(x - max) cannot overflow.
// Still wrong: x is read three times. A row of a few thousand numbers comes from L1 or L2 the second
// and third time, but each pass waits for its loads again, and the two sums stand between.
// Ours: not measured on a GPU yet.
#include "reduce.cuh"

__global__ void softmax_three_passes(float* __restrict__ y, const float* __restrict__ x, int rows, int cols) {
    const size_t row = static_cast<size_t>(blockIdx.x) * cols;
    float m = -INFINITY;
    for (int j = threadIdx.x; j < cols; j += blockDim.x) m = fmaxf(m, x[row + j]);
    m = block_max(m);
    float s = 0.0f;
    for (int j = threadIdx.x; j < cols; j += blockDim.x) s += expf(x[row + j] - m);
    s = block_sum(s);
    for (int j = threadIdx.x; j < cols; j += blockDim.x) y[row + j] = expf(x[row + j] - m) / s;
}

MMB_KERNEL_AS(softmax_three_passes_f32, softmax_three_passes);
