// Tiles alternate between two places, each with its mbarrier: one is loaded while the other is read.
//
// run: <<<1, 64, 2064>>>(y[384], map(x[48x32], 8x32))
// result: y.reshape(48, 8) == x.reshape(48, 8, 4)[:, :, 0]
#include "hopper.cuh"

__global__ void tma_two_places(float* y, const __grid_constant__ TensorMap x) {
    MMB_DYNAMIC_SHARED(float, tiles);  // two of 8 rows of 32, then their mbarriers
    uint64_t* full = reinterpret_cast<uint64_t*>(tiles + 512);
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(full, 1);
        ptx::mbarrier_init(full + 1, 1);
        ptx::fence_barrier_init();
    }
    __syncthreads();
    const auto load = [&](int k) {
        ptx::mbarrier_arrive_expect(full + k % 2, 1024);
        ptx::tma_load(tiles + k % 2 * 256, x, full + k % 2, 0, 8 * k);
    };
    if (threadIdx.x == 0) load(0);
    for (int k = 0; k < 6; ++k) {
        if (threadIdx.x == 0 && k + 1 < 6) load(k + 1);
        ptx::mbarrier_wait(full + k % 2, k / 2 % 2);
        const int row = threadIdx.x / 8, col = threadIdx.x % 8 * 4;
        y[k * 64 + threadIdx.x] = tiles[k % 2 * 256 + row * 32 + (col ^ row * 4)];
        __syncthreads();  // all have read: the place may be filled again
    }
}
MMB_KERNEL(tma_two_places);
