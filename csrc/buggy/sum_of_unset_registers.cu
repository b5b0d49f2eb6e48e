// Partial sums in a local array, of which nobody has set the last.
//
// run: <<<1, 32>>>(y[32], x[32])
#include "platform.cuh"

__global__ void sum_of_unset_registers(float* y, const float* x) {
    float sums[4];
    for (int k = 0; k < 3; ++k) sums[k] = 0;
    for (int i = 0; i < 32; ++i) sums[i % 4] += x[i];
    y[threadIdx.x] = sums[threadIdx.x % 4];  // expect: unset-variable
}
MMB_KERNEL(sum_of_unset_registers);
