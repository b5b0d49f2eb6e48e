// Ladder of y = softmax(x), step 3: the row stays in registers.
//
//   x, y    (rows, cols) float, row by row; cols at most 4096
//   grid    (rows), block 256
//   bytes   x once, y once: 8 per number, as few as there can be
//
// Adds: each thread loads its 16 numbers into registers before it uses the first. Registers have no
// addresses, so every index must be known to the compiler: hence the loops of fixed length.
// Why it helps: x is read once, and 16 loads are on the way at a time where step 2 waits for each:
// 8 blocks of 256 threads on an SM make 128 kB, and 30 kB hide 0.8 µs at 4.3 TB/s.
// Still wrong: a load moves 4 bytes per thread, so 16 instructions where 4 would do; a row of 10
// numbers has 256 threads; and longer rows do not fit.
// Ours: not measured on a GPU yet.
#include "reduce.cuh"

constexpr int HELD = 16;  // numbers of a thread

__global__ void __launch_bounds__(256)
    softmax_registers(float* __restrict__ y, const float* __restrict__ x, int rows, int cols) {
    const size_t row = static_cast<size_t>(blockIdx.x) * cols;
    float v[HELD];
#pragma unroll
    for (int i = 0; i < HELD; ++i) {
        const int j = i * 256 + threadIdx.x;
        v[i] = j < cols ? x[row + j] : -INFINITY;
    }
    float m = -INFINITY;
#pragma unroll
    for (int i = 0; i < HELD; ++i) m = fmaxf(m, v[i]);
    m = block_max(m);
    float s = 0.0f;
#pragma unroll
    for (int i = 0; i < HELD; ++i) s += v[i] = expf(v[i] - m);
    s = block_sum(s);
#pragma unroll
    for (int i = 0; i < HELD; ++i) {
        const int j = i * 256 + threadIdx.x;
        if (j < cols) y[row + j] = v[i] / s;
    }
}

MMB_KERNEL_AS(softmax_registers_f32, softmax_registers);
