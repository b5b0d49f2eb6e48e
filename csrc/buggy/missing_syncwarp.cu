// Lanes of one warp exchange through shared memory without __syncwarp().
//
// run: <<<1, 32>>>(y[32], x[32])
#include "platform.cuh"

__global__ void missing_syncwarp(float* y, const float* x) {
    __shared__ float lanes[32];
    lanes[threadIdx.x] = x[threadIdx.x];  // expect: race
    y[threadIdx.x] = lanes[31 - threadIdx.x];  // expect: race
}
MMB_KERNEL(missing_syncwarp);
