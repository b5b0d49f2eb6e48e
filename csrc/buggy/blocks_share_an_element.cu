// Every block writes the same elements: the index lacks blockIdx.
//
// run: <<<2, 32>>>(y[32], x[64])
#include "platform.cuh"

__global__ void blocks_share_an_element(float* y, const float* x) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[threadIdx.x] = 2 * x[i];  // expect: race
}
MMB_KERNEL(blocks_share_an_element);
