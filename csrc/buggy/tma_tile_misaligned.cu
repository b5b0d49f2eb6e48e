// The mbarrier comes first in shared memory, and the tile 8 bytes behind it; the swizzle needs 1024.
//
// run: <<<1, 64, 1032>>>(y[64], map(x[8x32], 8x32))
#include "hopper.cuh"

__global__ void tma_tile_misaligned(float* y, const __grid_constant__ TensorMap x) {
    MMB_DYNAMIC_SHARED(uint64_t, full);
    float* tile = reinterpret_cast<float*>(full + 1);
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(full, 1);
        ptx::fence_barrier_init();
        ptx::mbarrier_arrive_expect(full, 1024);
        ptx::tma_load(tile, x, full, 0, 0);  // expect: misaligned
    }
    __syncthreads();
    ptx::mbarrier_wait(full, 0);
    y[threadIdx.x] = tile[threadIdx.x];
}
MMB_KERNEL(tma_tile_misaligned);
