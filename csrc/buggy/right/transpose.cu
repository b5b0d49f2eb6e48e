// A tile with one column of padding, neither dimension a multiple of it.
//
// run: <<<(2, 2), (16, 16)>>>(y[525], x[525], 21, 25)
// result: y == x.reshape(21, 25).T.ravel()
#include "platform.cuh"

__global__ void transpose(float* y, const float* x, int rows, int cols) {
    __shared__ float tile[16][17];
    int row = blockIdx.y * 16 + threadIdx.y, col = blockIdx.x * 16 + threadIdx.x;
    if (row < rows && col < cols) tile[threadIdx.y][threadIdx.x] = x[row * cols + col];
    __syncthreads();
    row = blockIdx.x * 16 + threadIdx.y, col = blockIdx.y * 16 + threadIdx.x;
    if (row < cols && col < rows) y[row * rows + col] = tile[threadIdx.x][threadIdx.y];
}
MMB_KERNEL(transpose);
