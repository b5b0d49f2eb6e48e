// Threads fill a tile twice, and TMA stores it; in between one waits until TMA has read it.
//
// run: <<<1, 64, 1024>>>(map(y[16x32], 8x32), x[512])
// result: y == x
#include "hopper.cuh"

__global__ void tma_store(const __grid_constant__ TensorMap y, const float* x) {
    MMB_DYNAMIC_SHARED(float, tile);
    for (int k = 0; k < 2; ++k) {
        for (int i = threadIdx.x; i < 256; i += 64) {
            const int row = i / 32, col = i % 32;
            tile[row * 32 + (col ^ row * 4)] = x[k * 256 + i];  // as the 128-byte swizzle has it
        }
        ptx::fence_proxy_async();  // by each thread that wrote
        __syncthreads();
        if (threadIdx.x == 0) {
            ptx::tma_store(y, tile, 0, 8 * k);
            ptx::tma_store_commit();
            ptx::tma_store_wait_read<0>();
        }
        __syncthreads();
    }
}
MMB_KERNEL(tma_store);
