// Ladder of y = Σ x, step 1: every thread adds its number to the result.
//
//   x (n) float; y (1), 0 before
//   grid (⌈n / 256⌉), block 256
//   bytes   4 per number
//
// What is right already: atomicAdd, as without it threads would overwrite each other's sums.
// Still wrong: all n additions are to one address, and L2 does them one after the other, about one
// per clock: n = 2²⁴ takes some 10 ms, where reading x takes 16 µs. And whoever comes first is added
// first: floats are not associative, so that two runs differ in the last digits.
// Ours: not measured on a GPU yet.
#include "platform.cuh"

__global__ void sum_atomic(float* __restrict__ y, const float* __restrict__ x, long long n) {
    const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < n) atomicAdd(y, x[i]);
}

MMB_KERNEL_AS(sum_atomic_f32, sum_atomic);
