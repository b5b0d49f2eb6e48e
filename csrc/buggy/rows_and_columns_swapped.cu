// row · rows + col instead of row · cols + col.
//
// run: <<<1, (16, 8)>>>(y[128], x[128], 8, 16)
#include "platform.cuh"

__global__ void rows_and_columns_swapped(float* y, const float* x, int rows, int cols) {
    const int row = threadIdx.x, col = threadIdx.y;
    y[row * cols + col] = x[row * rows + col];  // expect: out-of-bounds
}
MMB_KERNEL(rows_and_columns_swapped);
