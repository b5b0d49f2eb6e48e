// Each thread waits for its own copies, and reads what another thread copied: a barrier is missing.
//
// run: <<<1, 32>>>(y[128], x[128])
#include "ptx.cuh"

__global__ void copy_of_another_thread(float* y, const float* x) {
    __shared__ __align__(16) float tile[128];
    const int i = threadIdx.x * 4;
    ptx::cp_async<16>(tile + i, x + i, 16);  // expect: missing-wait
    ptx::cp_async_commit();
    ptx::cp_async_wait<0>();
    y[i] = tile[124 - i];  // expect: missing-wait
}
MMB_KERNEL(copy_of_another_thread);
