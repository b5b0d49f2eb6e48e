// cp.async is committed but not waited for: the copy may land any time later.
//
// run: <<<1, 32>>>(y[128], x[128])
#include "ptx.cuh"

__global__ void copy_not_waited_for(float* y, const float* x) {
    __shared__ __align__(16) float tile[128];
    const int i = threadIdx.x * 4;
    ptx::cp_async<16>(tile + i, x + i, 16);  // expect: missing-wait
    ptx::cp_async_commit();
    __syncthreads();
    for (int k = 0; k < 4; ++k) y[i + k] = tile[i + k];  // expect: missing-wait
    ptx::cp_async_wait<0>();
}
MMB_KERNEL(copy_not_waited_for);
