// Threads past the end return early; no barrier follows, so nobody waits for them.
//
// run: <<<2, 64>>>(y[100], x[100], 100)
// result: y == -x
#include "platform.cuh"

__global__ void exit_without_barrier(float* y, const float* x, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    y[i] = -x[i];
}
MMB_KERNEL(exit_without_barrier);
