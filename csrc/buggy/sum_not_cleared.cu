// Adds into memory that nobody has set to zero: cudaMalloc does not.
//
// run: <<<1, 32>>>(y[32]?, x[32])
#include "platform.cuh"

__global__ void sum_not_cleared(float* y, const float* x) {
    y[threadIdx.x] += x[threadIdx.x];  // expect: uninitialised
}
MMB_KERNEL(sum_not_cleared);
