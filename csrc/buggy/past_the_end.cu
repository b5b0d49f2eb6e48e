// n is no multiple of the block, and the index is not compared with it.
//
// run: <<<2, 64>>>(y[100], x[100], 100)
#include "platform.cuh"

__global__ void past_the_end(float* y, const float* x, int) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = 2 * x[i];  // expect: out-of-bounds
}
MMB_KERNEL(past_the_end);
