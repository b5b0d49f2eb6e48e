// The last block sums what the others wrote, but nothing makes their writes visible before the
// counter: __threadfence() is missing before atomicAdd.
//
// run: <<<4, 32>>>(y[1], partial[4], x[128], int counter[1]=0)
#include "platform.cuh"

__global__ void missing_fence(float* y, float* partial, const float* x, int* counter) {
    __shared__ bool is_last;
    float v = x[blockIdx.x * 32 + threadIdx.x];
    for (int lanes = 16; lanes > 0; lanes /= 2) v += __shfl_down_sync(0xffffffffu, v, lanes);
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = v;  // expect: race
        is_last = atomicAdd(counter, 1) == static_cast<int>(gridDim.x) - 1;
    }
    __syncthreads();
    if (is_last && threadIdx.x == 0) {
        float sum = 0;
        for (unsigned b = 0; b < gridDim.x; ++b) sum += partial[b];  // expect: race
        *y = sum;
    }
}
MMB_KERNEL(missing_fence);
