// An assumption that the input breaks.
//
// run: <<<1, 32>>>(y[32], x[32])
#include <assert.h>

#include "platform.cuh"

__global__ void assertion_fails(float* y, const float* x) {
    assert(x[threadIdx.x] > 1000.0f);  // expect: assert
    y[threadIdx.x] = sqrtf(x[threadIdx.x]);
}
MMB_KERNEL(assertion_fails);
