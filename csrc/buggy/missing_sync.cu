// No barrier between writing the tile and reading the neighbour's element of it.
//
// run: <<<1, 64>>>(y[64], x[64])
#include "platform.cuh"

__global__ void missing_sync(float* y, const float* x) {
    __shared__ float tile[64];
    const int i = threadIdx.x;
    tile[i] = x[i];             // expect: race
    y[i] = tile[(i + 1) % 64];  // expect: race
}
MMB_KERNEL(missing_sync);
