// A thread reads an ordinary variable until it changes, and nobody changes it.
//
// run: <<<1, 64>>>(y[64]=0, x[64], int done[1]=0)
#include "platform.cuh"

__global__ void waits_for_a_plain_store(float* y, const float* x, int* done) {
    if (threadIdx.x == 33)
        while (done[0] == 0) __nanosleep(20);  // expect: livelock
    __syncthreads();
    y[threadIdx.x] = x[threadIdx.x];
}
MMB_KERNEL(waits_for_a_plain_store);
