// __syncwarp with a mask of sixteen lanes orders those, but the element comes from the other half.
//
// run: <<<1, 32>>>(y[32], x[32])
#include "platform.cuh"

__global__ void half_a_warp_waits(float* y, const float* x) {
    __shared__ float lanes[32];
    const int i = threadIdx.x;
    lanes[i] = x[i];  // expect: race
    __syncwarp(i < 16 ? 0x0000ffffu : 0xffff0000u);
    y[i] = lanes[31 - i];  // expect: race
}
MMB_KERNEL(half_a_warp_waits);
