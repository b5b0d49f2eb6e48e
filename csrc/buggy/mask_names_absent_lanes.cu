// A shuffle inside a branch whose mask names all lanes: half of them never come.
//
// run: <<<1, 32>>>(y[32], x[32])
#include "platform.cuh"

__global__ void mask_names_absent_lanes(float* y, const float* x) {
    float v = x[threadIdx.x];
    if (threadIdx.x < 16) v += __shfl_xor_sync(0xffffffffu, v, 1);  // expect: deadlock
    y[threadIdx.x] = v;
}
MMB_KERNEL(mask_names_absent_lanes);
