// Two groups are on their way, and cp_async_wait<1> leaves the newer one running.
//
// run: <<<1, 32>>>(y[32], x[256])
#include "ptx.cuh"

__global__ void one_group_too_few(float* y, const float* x) {
    __shared__ __align__(16) float tile[2][128];
    const int i = threadIdx.x * 4;
    for (int t = 0; t < 2; ++t) {
        ptx::cp_async<16>(&tile[t][i], x + 128 * t + i, 16);  // expect: missing-wait
        ptx::cp_async_commit();
    }
    ptx::cp_async_wait<1>();
    __syncthreads();
    y[threadIdx.x] = tile[0][124 - i] + tile[1][124 - i];  // expect: missing-wait
    ptx::cp_async_wait<0>();
}
MMB_KERNEL(one_group_too_few);
