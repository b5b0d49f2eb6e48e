// A tile is stored by TMA, and no fence lets TMA see what the threads wrote into it.
//
// run: <<<1, 64, 1024>>>(map(y[8x32], 8x32), x[256])
#include "hopper.cuh"

__global__ void tma_store_without_fence(const __grid_constant__ TensorMap y, const float* x) {
    MMB_DYNAMIC_SHARED(float, tile);
    for (int i = threadIdx.x; i < 256; i += 64) tile[i] = x[i];
    __syncthreads();
    if (threadIdx.x == 0) {
        ptx::tma_store(y, tile, 0, 0);  // expect: missing-fence
        ptx::tma_store_commit();
        ptx::tma_store_wait_read<0>();
    }
}
MMB_KERNEL(tma_store_without_fence);
