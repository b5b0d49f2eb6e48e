// Four tiles go through one place; each is waited for by its phase. Rows past the end come as zeros (the last 3).
//
// run: <<<1, 64, 1032>>>(y[256], map(x[29x32], 8x32))
// result: y[:232].reshape(29, 8) == x.reshape(29, 8, 4)[:, :, 0]
#include "hopper.cuh"

__global__ void tma_tiles(float* y, const __grid_constant__ TensorMap x) {
    MMB_DYNAMIC_SHARED(float, tile);  // 8 rows of 32, then the mbarrier
    uint64_t* full = reinterpret_cast<uint64_t*>(tile + 256);
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(full, 1);
        ptx::fence_barrier_init();
    }
    __syncthreads();
    for (int k = 0; k < 4; ++k) {
        if (threadIdx.x == 0) {
            ptx::mbarrier_arrive_expect(full, 1024);
            ptx::tma_load(tile, x, full, 0, 8 * k);
        }
        ptx::mbarrier_wait(full, k % 2);
        // the 128-byte swizzle: the 16 bytes of group g in row r lie at group g xor r
        const int row = threadIdx.x / 8, col = threadIdx.x % 8 * 4;
        y[k * 64 + threadIdx.x] = tile[row * 32 + (col ^ row * 4)];
        __syncthreads();
    }
}
MMB_KERNEL(tma_tiles);
