// Ladder of C = A B, step 2: neighbouring threads take neighbouring COLUMNS. Nothing else changes.
//
//   A (M, K), B (K, N), C (M, N), row by row, lda, ldb, ldc numbers from one row to the next
//   grid    (⌈M/8⌉, ⌈N/32⌉), block (32, 8): a warp is one row and 32 columns
//   flops   2 M N K
//
// Adds: coalescing. At one k, the 32 threads of a warp read 32 neighbours of B, 128 bytes in 4 full
// sectors, and all read the same number of A, which is one sector, broadcast.
// Why it helps: step 1 moves 32 bytes from the cache for 4 that it uses; here all are used.
// Still wrong: every product of two numbers loads two numbers, 8 bytes for 2 flops.
// Published: 8.5 % of cuBLAS, 6.5 times step 1 (RTX A6000, 4096³; siboehm/SGEMM_CUDA, README).
// Ours: not measured on a GPU yet.
#include "platform.cuh"

__global__ void matmul_coalesced(float* __restrict__ C, const float* __restrict__ A,
                                 const float* __restrict__ B, int M, int N, int K, long long lda,
                                 long long ldb, long long ldc) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;
    const int col = blockIdx.y * blockDim.x + threadIdx.x;
    if (row >= M || col >= N) return;
    float sum = 0.0f;
    for (int k = 0; k < K; ++k) sum += A[row * lda + k] * B[k * ldb + col];
    C[row * ldc + col] = sum;
}

MMB_KERNEL_AS(matmul_coalesced_f32, matmul_coalesced);
