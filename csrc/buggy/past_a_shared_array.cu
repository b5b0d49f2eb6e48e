// The tile has no room for the element to the right of the block.
//
// run: <<<1, 32>>>(y[32], x[33])
#include "platform.cuh"

__global__ void past_a_shared_array(float* y, const float* x) {
    __shared__ float tile[32];
    const int i = threadIdx.x;
    tile[i] = x[i];
    if (i == 31) tile[i + 1] = x[i + 1];  // expect: out-of-bounds
    __syncthreads();
    y[i] = tile[i];
}
MMB_KERNEL(past_a_shared_array);
