// memcpy of more bytes than the array has left.
//
// run: <<<1, 32>>>(y[64], x[64])
#include "platform.cuh"

__global__ void copies_too_much(float* y, const float* x) {
    const int i = 2 * threadIdx.x, count = i == 62 ? 3 : 2;
    memcpy(y + i, x + i, count * sizeof(float));  // expect: out-of-bounds
}
MMB_KERNEL(copies_too_much);
