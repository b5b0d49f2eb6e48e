// One atomic per warp instead of one per lane: the active lanes find each other inside a branch.
//
// run: <<<2, 64>>>(int count[1]=0, int x[128])
// result: count == numpy.sum(x % 3 == 0)
#include "platform.cuh"

__global__ void active_lanes_count(int* count, const int* x) {
    if (x[blockIdx.x * 64 + threadIdx.x] % 3 == 0) {
        const unsigned active = __activemask();
        if (threadIdx.x % 32 == __ffs(active) - 1) atomicAdd(count, __popc(active));
    }
}
MMB_KERNEL(active_lanes_count);
