// Casts const away and writes to an input.
//
// run: <<<1, 32>>>(y[32], x[32])
#include "platform.cuh"

__global__ void input_written(float* y, const float* x) {
    const int i = threadIdx.x;
    float* scratch = const_cast<float*>(x);
    scratch[i] *= 2;  // expect: read-only
    y[i] = x[i];
}
MMB_KERNEL(input_written);
