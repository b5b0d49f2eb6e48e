// Ladder of y = Σ x, step 4: blocks that stay, and 16 bytes per load.
//
//   x (n) float, starting at a multiple of 16 bytes; y (blocks): then launched once more, with one block
//   grid (at most 1024), block 256
//   bytes   4 per number
//
// Adds: a loop. Each thread takes a pack of 4 numbers, then the one that lies a whole grid further on,
// and so on; 4 packs are on the way at a time. The tree comes once, at the end.
// Why it helps: the loads never stop: 8 blocks of 256 threads on an SM with 64 bytes each are 128 kB
// on the way, and 30 kB hide 0.8 µs at 4.3 TB/s. And the error grows with n / 10⁶, not n.
// Published: 3240 GB/s on an H100, 97 % of its bandwidth, cub 3193 (pranjalssh/fast.cu, README), built
// like this. ../reduction.cu does the same for rows, columns, means and extremes.
// Ours: not measured on a GPU yet.
#include "reduce.cuh"

constexpr int AHEAD = 4;  // packs on the way

__global__ void sum_two_phases(float* __restrict__ y, const float* __restrict__ x, long long n) {
    const float4* packs = reinterpret_cast<const float4*>(x);
    const long long count = n / 4, stride = static_cast<long long>(gridDim.x) * blockDim.x;
    const long long thread = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    float sum = thread < n % 4 ? x[count * 4 + thread] : 0.0f;  // what is left of the last pack
    for (long long i = thread; i < count; i += AHEAD * stride) {
        float4 v[AHEAD];
#pragma unroll
        for (int a = 0; a < AHEAD; ++a) {
            v[a] = {0.0f, 0.0f, 0.0f, 0.0f};
            if (i + a * stride < count) v[a] = packs[i + a * stride];
        }
#pragma unroll
        for (int a = 0; a < AHEAD; ++a) sum += (v[a].x + v[a].y) + (v[a].z + v[a].w);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) y[blockIdx.x] = sum;
}

MMB_KERNEL_AS(sum_two_phases_f32, sum_two_phases);
