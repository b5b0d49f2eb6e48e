// The last steps of a reduction as they were written before Volta: lanes of a warp need not run in
// step any more, and volatile does not make them.
//
// run: <<<1, 64>>>(y[1], x[64])
#include "platform.cuh"

__global__ void lockstep_reduction(float* y, const float* x) {
    __shared__ float sums[64];
    const int i = threadIdx.x;
    sums[i] = x[i];
    __syncthreads();
    if (i < 32) {
        volatile float* s = sums;
        s[i] += s[i + 32];  // expect: race
        s[i] += s[i + 16];  // expect: race
        s[i] += s[i + 8];   // expect: race
        s[i] += s[i + 4];   // expect: race
        s[i] += s[i + 2];   // expect: race
        s[i] += s[i + 1];   // expect: race
    }
    if (i == 0) *y = sums[0];
}
MMB_KERNEL(lockstep_reduction);
