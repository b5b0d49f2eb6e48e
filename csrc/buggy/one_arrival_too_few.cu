// The mbarrier counts 64 arrivals, and half of the block arrives: all wait for ever.
//
// run: <<<1, 64, 16>>>(y[64])
#include "hopper.cuh"

__global__ void one_arrival_too_few(float* y) {
    MMB_DYNAMIC_SHARED(uint64_t, full);
    if (threadIdx.x == 0) ptx::mbarrier_init(full, 64);
    __syncthreads();
    if (threadIdx.x < 32) ptx::mbarrier_arrive(full);
    ptx::mbarrier_wait(full, 0);  // expect: deadlock
    y[threadIdx.x] = 1;
}
MMB_KERNEL(one_arrival_too_few);
