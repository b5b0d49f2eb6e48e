// The filter has three taps; the loop runs over four.
//
// run: <<<1, 32>>>(y[32], x[64])
#include "platform.cuh"

__global__ void past_a_local_array(float* y, const float* x) {
    const float taps[3] = {0.25f, 0.5f, 0.25f};
    float sum = 0;
    for (int k = 0; k <= 3; ++k) sum += taps[k] * x[threadIdx.x + k];  // expect: out-of-bounds
    y[threadIdx.x] = sum;
}
MMB_KERNEL(past_a_local_array);
