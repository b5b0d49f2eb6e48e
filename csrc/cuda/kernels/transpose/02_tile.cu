// y = xᵀ, step 2: a tile turned in shared memory, so that both sides move whole rows.
//
//   x (rows, cols), y (cols, rows), contiguous; grid and block as in step 1
//   bytes  2 · rows · cols · 4
//
// Adds: 32 neighbours are read from x, and 32 neighbours written to y; only shared memory, whose numbers
// cost the same wherever they lie, sees the column. It should help by the sectors that step 1 wastes, up
// to 8 times. But a column of a 32 x 32 tile lies in one bank of the 32, and its numbers are served one
// after the other: 32 rounds for a warp. Step 3 mends that. Gain: not measured yet.
#include "platform.cuh"

constexpr int TILE = 32, ROWS = 8;

__global__ void transpose_tile(float* __restrict__ y, const float* __restrict__ x, int rows, int cols) {
    __shared__ float tile[TILE][TILE];
    const int row0 = blockIdx.y * TILE, col0 = blockIdx.x * TILE;
    for (int i = threadIdx.y; i < TILE; i += ROWS)
        if (row0 + i < rows && col0 + threadIdx.x < cols)
            tile[i][threadIdx.x] = x[static_cast<int64_t>(row0 + i) * cols + col0 + threadIdx.x];
    __syncthreads();
    for (int i = threadIdx.y; i < TILE; i += ROWS)
        if (col0 + i < cols && row0 + threadIdx.x < rows)
            y[static_cast<int64_t>(col0 + i) * rows + row0 + threadIdx.x] = tile[threadIdx.x][i];
}

MMB_KERNEL(transpose_tile);
