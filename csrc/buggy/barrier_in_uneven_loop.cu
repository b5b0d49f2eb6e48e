// Threads go round the loop unequally often, and each round has a barrier.
//
// run: <<<1, 64>>>(y[64], 100)
#include "platform.cuh"

__global__ void barrier_in_uneven_loop(float* y, int n) {
    float sum = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        sum += 1;
        __syncthreads();  // expect: barrier-divergence
    }
    y[threadIdx.x] = sum;
}
MMB_KERNEL(barrier_in_uneven_loop);
