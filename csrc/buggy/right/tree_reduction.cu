// A sum as a tree in shared memory, with a barrier in each step.
//
// run: <<<2, 64>>>(y[2], x[128])
// result: y == x.reshape(2, 64).sum(1)
#include "platform.cuh"

__global__ void tree_reduction(float* y, const float* x) {
    __shared__ float sums[64];
    const int i = threadIdx.x;
    sums[i] = x[blockIdx.x * 64 + i];
    __syncthreads();
    for (int half = 32; half > 0; half /= 2) {
        if (i < half) sums[i] += sums[i + half];
        __syncthreads();
    }
    if (i == 0) y[blockIdx.x] = sums[0];
}
MMB_KERNEL(tree_reduction);
