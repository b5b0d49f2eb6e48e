// A pointer to a local variable is handed to another thread, whose local memory is another.
//
// run: <<<1, 32>>>(y[32], x[32])
#include "platform.cuh"

__global__ void local_of_another_thread(float* y, const float* x) {
    __shared__ const float* first;
    const float mine[2] = {x[threadIdx.x], 1};
    if (threadIdx.x == 0) first = mine;
    __syncthreads();
    y[threadIdx.x] = first[threadIdx.x % 2];  // expect: local-of-another-thread
}
MMB_KERNEL(local_of_another_thread);
