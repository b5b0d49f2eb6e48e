// y = xᵀ, step 1: each thread moves one number.
//
//   x (rows, cols), y (cols, rows), contiguous
//   grid   (tiles of columns, tiles of rows), block (32, 8); a tile is 32 x 32
//   bytes  2 · rows · cols · 4
//
// A warp reads 32 neighbours of a row, 128 bytes in 4 sectors, and writes them into 32 rows of y: 32
// sectors of 32 bytes, of which it needs 4 each. Three quarters of every sector travel for nothing, unless
// the cache keeps it until its other numbers come: `mmb cuda profile` counts 8 times the sectors needed.
#include "platform.cuh"

constexpr int TILE = 32, ROWS = 8;  // a thread moves TILE / ROWS numbers

__global__ void transpose_naive(float* __restrict__ y, const float* __restrict__ x, int rows, int cols) {
    const int col = blockIdx.x * TILE + threadIdx.x;
    for (int i = threadIdx.y; i < TILE; i += ROWS) {
        const int row = blockIdx.y * TILE + i;
        if (row >= rows || col >= cols) continue;
        const float moved = x[static_cast<int64_t>(row) * cols + col];  // neighbours: 4 sectors a warp
        y[static_cast<int64_t>(col) * rows + row] = moved;              // a row each: 32
    }
}

MMB_KERNEL(transpose_naive);
