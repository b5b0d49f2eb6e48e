// One warp waits for another through a volatile flag, with fences on both sides.
//
// run: <<<1, 64>>>(y[32], x[32])
// result: y == 3 * x
#include "platform.cuh"

__global__ void volatile_flag(float* y, const float* x) {
    __shared__ float value[32];
    __shared__ volatile int ready[32];
    const int lane = threadIdx.x % 32;
    if (threadIdx.x < 32) ready[lane] = 0;
    __syncthreads();
    if (threadIdx.x >= 32) {
        value[lane] = 3 * x[lane];
        __threadfence_block();
        ready[lane] = 1;
    } else {
        while (ready[lane] == 0) {
        }
        __threadfence_block();
        y[lane] = value[lane];
    }
}
MMB_KERNEL(volatile_flag);
