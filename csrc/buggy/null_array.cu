// The bias is optional, and the kernel reads it without asking.
//
// run: <<<1, 32>>>(y[32], x[32], none)
#include "platform.cuh"

__global__ void null_array(float* y, const float* x, const float* bias) {
    y[threadIdx.x] = x[threadIdx.x] + bias[threadIdx.x];  // expect: null-pointer
}
MMB_KERNEL(null_array);
