// float4 where four elements are left and aligned, single floats for the rest.
//
// run: <<<2, 16>>>(y[101], x[101], 101)
// result: y == x + 1
#include "platform.cuh"

__global__ void vector_loads_with_tail(float* y, const float* x, int n) {
    const int first = 4 * (blockIdx.x * blockDim.x + threadIdx.x);
    if (first + 3 < n) {
        float4 v = *reinterpret_cast<const float4*>(x + first);
        v.x += 1, v.y += 1, v.z += 1, v.w += 1;
        *reinterpret_cast<float4*>(y + first) = v;
    } else {
        for (int i = first; i < n; ++i) y[i] = x[i] + 1;
    }
}
MMB_KERNEL(vector_loads_with_tail);
