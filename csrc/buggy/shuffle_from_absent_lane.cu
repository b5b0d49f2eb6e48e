// Reads from a lane that does not take part.
//
// run: <<<1, 32>>>(y[32], x[32])
#include "platform.cuh"

__global__ void shuffle_from_absent_lane(float* y, const float* x) {
    float v = x[threadIdx.x];
    if (threadIdx.x < 16) v = __shfl_sync(0x0000ffffu, v, 20);  // expect: warp-mask
    y[threadIdx.x] = v;
}
MMB_KERNEL(shuffle_from_absent_lane);
