// A thread waits by atomics for others that take long: they sleep, read a lot, meet, and wait for it too.
//
// run: <<<1, 128>>>(y[128], x[128], int turn[1]=0)
// result: y == x + 127
#include "platform.cuh"

__global__ void waits_for_slow_threads(float* y, const float* x, int* turn) {
    const int i = threadIdx.x;
    if (i < 64) {  // one after the other, each when the one before is done
        while (atomicAdd(turn, 0) != i) __nanosleep(10);
    } else {
        for (int round = 0; round < 3000; ++round) {
            __nanosleep(10);
            if (x[round % 128] > 1e30f) y[i] = 0;
        }
        while (atomicAdd(turn, 0) < 64) {
        }
        __syncwarp();
    }
    atomicAdd(turn, 1);
    __syncthreads();
    y[i] = x[i] + atomicAdd(turn, 0) - 1;
}
MMB_KERNEL(waits_for_slow_threads);
