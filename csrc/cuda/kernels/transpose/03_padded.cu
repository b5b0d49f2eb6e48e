// y = xᵀ, step 3: rows of 33 numbers, so that a column meets every bank once.
//
//   x (rows, cols), y (cols, rows), contiguous; grid and block as in step 1
//   bytes  2 · rows · cols · 4; the goal is the speed of a copy
//
// Adds: one unused column. Number (i, j) of the tile lies in bank (33 i + j) mod 32 = (i + j) mod 32: along
// a row j runs through all banks, and along a column i does. The emulator's profile counts 32 rounds for a
// warp in step 2, and 1 here. Gain on a GPU: not measured yet.
#include "platform.cuh"

constexpr int TILE = 32, ROWS = 8;

__global__ void transpose_padded(float* __restrict__ y, const float* __restrict__ x, int rows, int cols) {
    __shared__ float tile[TILE][TILE + 1];
    const int row0 = blockIdx.y * TILE, col0 = blockIdx.x * TILE;
    for (int i = threadIdx.y; i < TILE; i += ROWS)
        if (row0 + i < rows && col0 + threadIdx.x < cols)
            tile[i][threadIdx.x] = x[static_cast<int64_t>(row0 + i) * cols + col0 + threadIdx.x];
    __syncthreads();
    for (int i = threadIdx.y; i < TILE; i += ROWS)
        if (col0 + i < cols && row0 + threadIdx.x < rows)
            y[static_cast<int64_t>(col0 + i) * rows + row0 + threadIdx.x] = tile[threadIdx.x][i];
}

MMB_KERNEL(transpose_padded);
