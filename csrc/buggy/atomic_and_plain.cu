// The sum is read while other threads still add to it: atomics are safe against atomics only.
//
// run: <<<1, 64>>>(y[64], x[64])
#include "platform.cuh"

__global__ void atomic_and_plain(float* y, const float* x) {
    __shared__ float sum;
    if (threadIdx.x == 0) sum = 0;
    __syncthreads();
    atomicAdd(&sum, x[threadIdx.x]);  // expect: race
    y[threadIdx.x] = sum;             // expect: race
}
MMB_KERNEL(atomic_and_plain);
