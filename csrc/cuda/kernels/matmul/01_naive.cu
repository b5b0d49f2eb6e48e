// Ladder of C = A B, step 1: one thread computes one number of C, straight from the formula.
//
//   cᵣₛ = Σₖ aᵣₖ bₖₛ
//
//   A (M, K), B (K, N), C (M, N), row by row, lda, ldb, ldc numbers from one row to the next
//   grid    (⌈M/16⌉, ⌈N/16⌉), block (16, 16)
//   flops   2 M N K
//
// What is wrong with it: neighbouring threads (threadIdx.x) take neighbouring ROWS. A warp is 16 rows
// by 2 columns, so one instruction reads a column of A: 16 rows, 16 different sectors of 32 bytes, of
// which 4 bytes each are used; and it writes C in the same way.
// Published: 1.3 % of cuBLAS (RTX A6000, 4096³; github.com/siboehm/SGEMM_CUDA, README). Ours: not
// measured on a GPU yet. Sectors and bank conflicts of all steps: docs/matmul_ladder.md.
#include "platform.cuh"

__global__ void matmul_naive(float* __restrict__ C, const float* __restrict__ A,
                             const float* __restrict__ B, int M, int N, int K, long long lda,
                             long long ldb, long long ldc) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    const int col = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= M || col >= N) return;
    float sum = 0.0f;
    for (int k = 0; k < K; ++k) sum += A[row * lda + k] * B[k * ldb + col];  // 64-bit offsets
    C[row * ldc + col] = sum;
}

MMB_KERNEL_AS(matmul_naive_f32, matmul_naive);
