// cp.async two tiles ahead in three buffers: while one is summed, two are on their way.
//
// run: <<<1, 32>>>(y[32], x[640], 5)
// result: y == x.reshape(5, 32, 4)[:, ::-1, 0].sum(0)
#include "ptx.cuh"

__global__ void copies_ahead(float* y, const float* x, int tiles) {
    __shared__ __align__(16) float tile[3][128];
    const int i = threadIdx.x * 4;
    const auto copy = [&](int t) {
        if (t < tiles) ptx::cp_async<16>(&tile[t % 3][i], x + 128 * t + i, 16);
        ptx::cp_async_commit();  // an empty group too, so that waiting counts right
    };
    float sum = 0;
    copy(0);
    copy(1);
    for (int t = 0; t < tiles; ++t) {
        ptx::cp_async_wait<1>();
        __syncthreads();
        copy(t + 2);  // over the buffer that all have read before this barrier
        sum += tile[t % 3][124 - i];
    }
    y[threadIdx.x] = sum;
}
MMB_KERNEL(copies_ahead);
