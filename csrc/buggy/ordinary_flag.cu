// One warp waits for another on an ordinary variable: the compiler may read it once.
//
// run: <<<1, 64>>>(y[32])
#include "platform.cuh"

__global__ void ordinary_flag(float* y) {
    __shared__ int ready;
    if (threadIdx.x == 0) ready = 0;
    __syncthreads();
    if (threadIdx.x == 32) {
        __threadfence_block();
        ready = 1;  // expect: race
    } else if (threadIdx.x < 32) {
        while (ready == 0) __threadfence_block();  // expect: race
        y[threadIdx.x] = 1;
    }
}
MMB_KERNEL(ordinary_flag);
