// One warp fills a tile and arrives at an mbarrier, another waits at it and reads the tile.
//
// run: <<<1, 64, 16>>>(y[32], x[32])
// result: y == x[::-1]
#include "hopper.cuh"

__global__ void mbarrier_hands_over(float* y, const float* x) {
    MMB_DYNAMIC_SHARED(uint64_t, full);
    __shared__ float tile[32];
    const int lane = threadIdx.x % 32;
    if (threadIdx.x == 0) ptx::mbarrier_init(full, 32);
    __syncthreads();
    if (threadIdx.x < 32) {
        tile[lane] = x[lane];
        ptx::mbarrier_arrive(full);
    } else {
        ptx::mbarrier_wait(full, 0);
        y[lane] = tile[31 - lane];
    }
}
MMB_KERNEL(mbarrier_hands_over);
