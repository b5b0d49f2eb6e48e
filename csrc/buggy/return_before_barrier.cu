// Threads past the end return, and the others wait for them at the barrier.
//
// run: <<<2, 64>>>(y[100], x[100], 100)
#include "platform.cuh"

__global__ void return_before_barrier(float* y, const float* x, int n) {
    __shared__ float tile[64];
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    tile[threadIdx.x] = x[i];
    __syncthreads();  // expect: barrier-divergence
    y[i] = tile[threadIdx.x];
}
MMB_KERNEL(return_before_barrier);
