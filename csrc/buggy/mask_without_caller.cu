// All lanes vote, but the mask names half of them.
//
// run: <<<1, 32>>>(int y[32])
#include "platform.cuh"

__global__ void mask_without_caller(int* y) {
    y[threadIdx.x] = __popc(__ballot_sync(0x0000ffffu, threadIdx.x % 2));  // expect: warp-mask
}
MMB_KERNEL(mask_without_caller);
