// Ladder of y = Σ x, step 2: a block adds up its 256 numbers in a tree, in shared memory.
//
//   x (n) float; y (⌈n / 256⌉): a partial sum per block; launched again until one is left
//   grid (⌈n / 256⌉), block 256
//   bytes   4 per number, and 1/64 of that for the partial sums
//
// Adds: partial sums. 128 threads add the upper half onto the lower, then 64, 32, ... 1: 8 steps with
// a barrier each. Neighbouring threads work on neighbouring numbers, so there are no bank conflicts
// (with strides 1, 2, 4, ... instead there would be, up to 32-fold).
// Why it helps: nobody waits for another block, and the order is always the same: so are the bits.
// Still wrong: 8 barriers, and at the last a single thread of 256 works; 256 numbers per block are
// loaded in one go and then nothing is, for the rest of the block's life.
// Ours: not measured on a GPU yet.
#include "platform.cuh"

__global__ void sum_shared_tree(float* __restrict__ y, const float* __restrict__ x, long long n) {
    __shared__ float sums[256];
    const long long i = static_cast<long long>(blockIdx.x) * 256 + threadIdx.x;
    sums[threadIdx.x] = i < n ? x[i] : 0.0f;
    for (int half = 128; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    if (threadIdx.x == 0) y[blockIdx.x] = sums[0];
}

MMB_KERNEL_AS(sum_shared_tree_f32, sum_shared_tree);
