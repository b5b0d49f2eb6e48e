// Ladder of y = softmax(x), step 4: 16 bytes per load and store.
//
//   x, y    (rows, cols) float, row by row, starting at a multiple of 16 bytes; cols a multiple of 4,
//           at most 4096
//   grid    (rows), block 256
//   bytes   x once, y once: 8 per number
//
// Adds: float4. A warp asks for 512 bytes at once, in 16 full sectors, instead of 128.
// Why it helps: a quarter of the load and store instructions, of their addresses, and of the entries
// in the queues of the memory system; and 1 / s is computed once, not a division per number.
// Still wrong: rows that are no multiple of 4 are refused, short rows waste threads, long ones do not
// fit. ../softmax.cu has answers: packs at multiples of 16 bytes wherever the row starts, teams of 1
// to 32 lanes, shared memory behind the registers.
// Ours: not measured on a GPU yet.
#include "reduce.cuh"

constexpr int PACKS = 4;  // of a thread

__global__ void __launch_bounds__(256)
    softmax_vectorised(float* __restrict__ y, const float* __restrict__ x, int rows, int cols) {
    const size_t row = static_cast<size_t>(blockIdx.x) * cols;
    const float4* from = reinterpret_cast<const float4*>(x + row);
    float4* to = reinterpret_cast<float4*>(y + row);
    float4 v[PACKS];
#pragma unroll
    for (int i = 0; i < PACKS; ++i) {
        const int k = i * 256 + threadIdx.x;
        v[i] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
        if (k < cols / 4) v[i] = from[k];
    }
    float m = -INFINITY;
#pragma unroll
    for (int i = 0; i < PACKS; ++i) m = fmaxf(m, fmaxf(fmaxf(v[i].x, v[i].y), fmaxf(v[i].z, v[i].w)));
    m = block_max(m);
    float s = 0.0f;
#pragma unroll
    for (int i = 0; i < PACKS; ++i) {
        v[i] = {expf(v[i].x - m), expf(v[i].y - m), expf(v[i].z - m), expf(v[i].w - m)};
        s += (v[i].x + v[i].y) + (v[i].z + v[i].w);
    }
    const float scale = 1.0f / block_sum(s);
#pragma unroll
    for (int i = 0; i < PACKS; ++i) {
        const int k = i * 256 + threadIdx.x;
        const float4 p = {v[i].x * scale, v[i].y * scale, v[i].z * scale, v[i].w * scale};
        if (k < cols / 4) to[k] = p;  // one store; four members would be four
    }
}

MMB_KERNEL_AS(softmax_vectorised_f32, softmax_vectorised);
