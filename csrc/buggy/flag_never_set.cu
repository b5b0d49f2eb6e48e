// Thread 0 waits for two flags, and who should set the second of them returns before.
//
// run: <<<1, 64>>>(y[1]=0, int flag[2]=0)
#include "platform.cuh"

__global__ void flag_never_set(float* y, int* flag) {
    if (threadIdx.x == 0) {
        while (atomicAdd(&flag[0], 0) + atomicAdd(&flag[1], 0) < 2) {  // expect: livelock
        }
        y[0] = 1;
    }
    if (threadIdx.x >= 62) return;
    if (threadIdx.x >= 61) atomicExch(&flag[threadIdx.x - 61], 1);
}
MMB_KERNEL(flag_never_set);
