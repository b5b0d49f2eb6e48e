// Block 0 waits for block 1: on a GPU that may work or hang, here it cannot work.
//
// run: <<<2, 1>>>(int flag[2]=0)
#include "platform.cuh"

__global__ void waits_for_another_block(int* flag) {
    atomicExch(&flag[blockIdx.x], 1);
    while (atomicAdd(&flag[1 - blockIdx.x], 0) == 0) {  // expect: livelock
    }
}
MMB_KERNEL(waits_for_another_block);
