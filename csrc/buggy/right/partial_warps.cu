// 50 threads: the last warp has 18, and a ballot tells who takes part in the branch.
//
// run: <<<1, 50>>>(int y[50], int x[50])
// result: y == numpy.concatenate([numpy.where(w % 2 == 1, numpy.sum(w % 2), 0) for w in (x[:32], x[32:])])
#include "platform.cuh"

__global__ void partial_warps(int* y, const int* x) {
    const bool odd = x[threadIdx.x] % 2;
    const unsigned mask = __ballot_sync(0xffffffffu, odd);
    int sum = 0;
    if (odd) sum = __reduce_add_sync(mask, 1);
    y[threadIdx.x] = sum;
}
MMB_KERNEL(partial_warps);
