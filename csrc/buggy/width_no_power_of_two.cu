// A shuffle among groups of 12 lanes: a width is a power of two.
//
// run: <<<1, 32>>>(y[32], x[32])
#include "platform.cuh"

__global__ void width_no_power_of_two(float* y, const float* x) {
    y[threadIdx.x] = __shfl_down_sync(0xffffffffu, x[threadIdx.x], 1, 12);  // expect: warp-width
}
MMB_KERNEL(width_no_power_of_two);
