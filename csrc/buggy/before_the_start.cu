// The left neighbour of the first element does not exist.
//
// run: <<<1, 64>>>(y[64], x[64])
#include "platform.cuh"

__global__ void before_the_start(float* y, const float* x) {
    const int i = threadIdx.x;
    y[i] = x[i] - x[i - 1];  // expect: out-of-bounds
}
MMB_KERNEL(before_the_start);
