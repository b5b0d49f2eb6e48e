// TMA brings a tile, and the threads read it before the mbarrier says that it is there.
//
// run: <<<1, 64, 1032>>>(y[64], map(x[8x32], 8x32))
#include "hopper.cuh"

__global__ void tma_tile_read_early(float* y, const __grid_constant__ TensorMap x) {
    MMB_DYNAMIC_SHARED(float, tile);  // 8 rows of 32, then the mbarrier
    uint64_t* full = reinterpret_cast<uint64_t*>(tile + 256);
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(full, 1);
        ptx::fence_barrier_init();
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        ptx::mbarrier_arrive_expect(full, 1024);
        ptx::tma_load(tile, x, full, 0, 0);  // expect: missing-wait
    }
    __syncthreads();
    y[threadIdx.x] = tile[threadIdx.x];  // expect: missing-wait
    ptx::mbarrier_wait(full, 0);
}
MMB_KERNEL(tma_tile_read_early);
