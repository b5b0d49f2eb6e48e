// The tile is filled again while others still read it: a loop needs two barriers.
//
// run: <<<1, 64>>>(y[64], x[192], 3)
#include "platform.cuh"

__global__ void missing_second_sync(float* y, const float* x, int tiles) {
    __shared__ float tile[64];
    const int i = threadIdx.x;
    float sum = 0;
    for (int t = 0; t < tiles; ++t) {
        tile[i] = x[t * 64 + i];  // expect: race
        __syncthreads();
        sum += tile[63 - i];  // expect: race
    }
    y[i] = sum;
}
MMB_KERNEL(missing_second_sync);
