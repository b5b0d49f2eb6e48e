// Half of the block waits at one barrier, the other half at another.
//
// run: <<<1, 64>>>(y[64])
#include "platform.cuh"

__global__ void barrier_in_branch(float* y) {
    if (threadIdx.x < 32) {
        y[threadIdx.x] = 1;
        __syncthreads();  // expect: barrier-divergence
    } else {
        y[threadIdx.x] = 2;
        __syncthreads();  // expect: barrier-divergence
    }
}
MMB_KERNEL(barrier_in_branch);
