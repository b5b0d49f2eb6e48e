// Two tiles go through one place, one after the other, and both are waited for by the parity of the first.
//
// run: <<<1, 64, 1032>>>(y[128], map(x[16x32], 8x32))
#include "hopper.cuh"

__global__ void tma_phase_not_flipped(float* y, const __grid_constant__ TensorMap x) {
    MMB_DYNAMIC_SHARED(float, tile);  // 8 rows of 32, then the mbarrier
    uint64_t* full = reinterpret_cast<uint64_t*>(tile + 256);
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(full, 1);
        ptx::fence_barrier_init();
    }
    __syncthreads();
    for (int k = 0; k < 2; ++k) {
        if (threadIdx.x == 0) {
            ptx::mbarrier_arrive_expect(full, 1024);
            ptx::tma_load(tile, x, full, 0, 8 * k);  // expect: missing-wait
        }
        ptx::mbarrier_wait(full, 0);
        y[k * 64 + threadIdx.x] = tile[threadIdx.x];  // expect: missing-wait
        __syncthreads();
    }
}
MMB_KERNEL(tma_phase_not_flipped);
