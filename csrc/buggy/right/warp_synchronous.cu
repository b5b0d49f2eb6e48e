// The last steps of a reduction in one warp, with __syncwarp between reading and writing.
//
// run: <<<1, 64>>>(y[1], x[64])
// result: y == x.sum()
#include "platform.cuh"

__global__ void warp_synchronous(float* y, const float* x) {
    __shared__ float sums[64];
    const int i = threadIdx.x;
    sums[i] = x[i];
    __syncthreads();
    if (i < 32) {
        float v = sums[i] + sums[i + 32];
        for (int half = 16; half > 0; half /= 2) {
            sums[i] = v;
            __syncwarp();
            v += sums[(i + half) % 32];
            __syncwarp();
        }
        if (i == 0) *y = v;
    }
}
MMB_KERNEL(warp_synchronous);
