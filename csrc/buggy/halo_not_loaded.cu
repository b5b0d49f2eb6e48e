// The tile has room for two neighbours, but only the middle is loaded.
//
// run: <<<1, 32>>>(y[32], x[32])
#include "platform.cuh"

__global__ void halo_not_loaded(float* y, const float* x) {
    __shared__ float tile[34];
    const int i = threadIdx.x + 1;
    tile[i] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = tile[i - 1] + tile[i] + tile[i + 1];  // expect: uninitialised
}
MMB_KERNEL(halo_not_loaded);
