// What a GPU can do at most, as the roofline of the benchmarks draws it: a copy, and multiply-adds.
//
//   copy_f32          y = x, n numbers; 16 bytes a thread where both are aligned
//                     grid any, block any (a grid-stride loop); bytes 8 n
//   multiply_add_f32  yᵢ = Σ over the chains of (b + a (b + a (... start))), so that nothing can be
//                     left out; 16 independent chains hide the latency of one multiply-add
//                     y (blocks · threads); operations 2 · 16 · steps a thread, bytes next to none
#include "storage.cuh"

__global__ void copy(float* __restrict__ y, const float* __restrict__ x, long long n) {
    const long long first = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
    long long done = 0;
    if (is_aligned16(x) && is_aligned16(y)) {
        done = n / 4 * 4;
        for (long long i = first; i < n / 4; i += stride)
            reinterpret_cast<float4*>(y)[i] = reinterpret_cast<const float4*>(x)[i];
    }
    for (long long i = done + first; i < n; i += stride) y[i] = x[i];
}

constexpr int CHAINS = 16;

__global__ void multiply_add(float* __restrict__ y, float a, float b, int steps) {
    float v[CHAINS];
#pragma unroll
    for (int c = 0; c < CHAINS; ++c) v[c] = static_cast<float>(c);
    for (int i = 0; i < steps; ++i) {
#pragma unroll
        for (int c = 0; c < CHAINS; ++c) v[c] = fmaf(v[c], a, b);
    }
    float sum = 0.0f;
#pragma unroll
    for (int c = 0; c < CHAINS; ++c) sum += v[c];
    y[static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x] = sum;
}

MMB_KERNEL_AS(copy_f32, copy);
MMB_KERNEL_AS(multiply_add_f32, multiply_add);
