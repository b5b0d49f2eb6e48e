// Ladder of y = softmax(x), step 2: the largest and the sum in one pass.
//
//   x, y    (rows, cols) float, row by row; any cols
//   grid    (rows), block 256
//   bytes   x twice, y once: 12 per number
//
// Adds: the online sum. When a larger x comes, the sum so far is scaled down to it:
//   m' = max(m, x),  s' = s · exp(m - m') + exp(x - m')
// Why it helps: one pass less over x: 12 bytes per number instead of 16, 1.33 times where rows do not
// stay in a cache. Published: 1.3 times on a V100 (Milakov and Gimelshein, 2018, arXiv:1805.02867).
// Still wrong: x is read a second time, to be divided.
// Ours: not measured on a GPU yet.
#include "online.cuh"

__global__ void softmax_online(float* __restrict__ y, const float* __restrict__ x, int rows, int cols) {
    const size_t row = static_cast<size_t>(blockIdx.x) * cols;
    OnlineSum<float> mine;
    for (int j = threadIdx.x; j < cols; j += blockDim.x) mine.add(x[row + j]);
    const float m = block_max(mine.largest);
    // a thread that has seen nothing, or -∞ only, has the sum 0
    const float s = block_sum(mine.sum == 0.0f ? 0.0f : mine.sum * expf(mine.largest - m));
    for (int j = threadIdx.x; j < cols; j += blockDim.x) y[row + j] = expf(x[row + j] - m) / s;
}

MMB_KERNEL_AS(softmax_online_f32, softmax_online);
