// The launch gives 32 floats of dynamic shared memory, and the kernel uses 64.
//
// run: <<<1, 64, 128>>>(y[64], x[64])
#include "platform.cuh"

__global__ void past_dynamic_shared(float* y, const float* x) {
    MMB_DYNAMIC_SHARED(float, tile);
    tile[threadIdx.x] = x[threadIdx.x];  // expect: out-of-bounds
    __syncthreads();
    y[threadIdx.x] = tile[threadIdx.x];
}
MMB_KERNEL(past_dynamic_shared);
