// Threads increment one counter without atomicAdd: increments are lost.
//
// run: <<<1, 64>>>(int y[8], int x[64])
#include "platform.cuh"

__global__ void histogram_without_atomic(int* y, const int* x) {
    __shared__ int count[8];
    if (threadIdx.x < 8) count[threadIdx.x] = 0;
    __syncthreads();
    count[x[threadIdx.x] % 8] += 1;  // expect: race
    __syncthreads();
    if (threadIdx.x < 8) y[threadIdx.x] = count[threadIdx.x];
}
MMB_KERNEL(histogram_without_atomic);
