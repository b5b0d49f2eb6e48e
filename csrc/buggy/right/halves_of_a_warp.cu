// Sixteen lanes work together, twice in a warp, each half under its own mask.
//
// run: <<<1, 64>>>(y[64], x[64])
// result: y == x.reshape(4, 16)[:, ::-1].ravel()
#include "platform.cuh"

__global__ void halves_of_a_warp(float* y, const float* x) {
    __shared__ float lanes[64];
    const int i = threadIdx.x;
    const unsigned mask = i % 32 < 16 ? 0x0000ffffu : 0xffff0000u;
    lanes[i] = x[i];
    __syncwarp(mask);
    y[i] = lanes[i / 16 * 16 + 15 - i % 16];
}
MMB_KERNEL(halves_of_a_warp);
