// Rows of 6 floats read as float4: every second row starts between two.
//
// run: <<<1, 4>>>(y[24], x[24])
#include "platform.cuh"

__global__ void misaligned_float4(float* y, const float* x) {
    const int row = threadIdx.x;
    const float4 v = *reinterpret_cast<const float4*>(x + row * 6);  // expect: misaligned
    y[row * 6] = v.x + v.y + v.z + v.w;
}
MMB_KERNEL(misaligned_float4);
