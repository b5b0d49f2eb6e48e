// The next tile is copied over the one that others still read.
//
// run: <<<1, 32>>>(y[32], x[384], 3)
#include "ptx.cuh"

__global__ void copy_over_what_is_read(float* y, const float* x, int tiles) {
    __shared__ __align__(16) float tile[128];
    const int i = threadIdx.x * 4;
    float sum = 0;
    for (int t = 0; t < tiles; ++t) {
        ptx::cp_async<16>(tile + i, x + 128 * t + i, 16);  // expect: missing-wait
        ptx::cp_async_commit();
        ptx::cp_async_wait<0>();
        __syncthreads();
        sum += tile[124 - i];  // expect: missing-wait
    }
    y[threadIdx.x] = sum;
}
MMB_KERNEL(copy_over_what_is_read);
