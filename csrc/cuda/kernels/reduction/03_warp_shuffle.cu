// Ladder of y = Σ x, step 3: the 32 threads of a warp add up through registers.
//
//   x (n) float; y (⌈n / 256⌉): a partial sum per block; launched again until one is left
//   grid (⌈n / 256⌉), block 256
//   bytes   4 per number, and 1/64 of that for the partial sums
//
// Adds: __shfl_xor_sync, by which a thread reads a register of another: 5 steps in each warp, one trip
// through shared memory for the 8 sums of the warps, 5 steps again.
// Why it helps: 2 barriers instead of 8, and no traffic to shared memory within a warp.
// Still wrong: a block still loads once and is done; its start and end cost as much as its work.
// Ours: not measured on a GPU yet.
#include "reduce.cuh"

__global__ void sum_warp_shuffle(float* __restrict__ y, const float* __restrict__ x, long long n) {
    const long long i = static_cast<long long>(blockIdx.x) * 256 + threadIdx.x;
    const float sum = block_sum(i < n ? x[i] : 0.0f);
    if (threadIdx.x == 0) y[blockIdx.x] = sum;
}

MMB_KERNEL_AS(sum_warp_shuffle_f32, sum_warp_shuffle);
