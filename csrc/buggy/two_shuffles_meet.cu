// Two different shuffles, one per branch, with the mask of the whole warp.
//
// run: <<<1, 32>>>(y[32], x[32])
#include "platform.cuh"

__global__ void two_shuffles_meet(float* y, const float* x) {
    float v = x[threadIdx.x];
    if (threadIdx.x % 2)
        v = __shfl_up_sync(0xffffffffu, v, 1);  // expect: warp-divergence
    else
        v = __shfl_down_sync(0xffffffffu, v, 1);  // expect: warp-divergence
    y[threadIdx.x] = v;
}
MMB_KERNEL(two_shuffles_meet);
