// Ladder of C = A B, step 3: a block keeps the tiles it needs in shared memory.
//
//   A (M, K), B (K, N), C (M, N), row by row, lda, ldb, ldc numbers from one row to the next
//   grid    (⌈M/32⌉, ⌈N/32⌉), block (32, 32): a thread per number of the block's 32 x 32 tile of C
//   flops   2 M N K;  from global memory 2 M N K / 32 numbers instead of 2 M N K
//   shared  2 tiles of 32 x 32 numbers: 8 KiB
//
// Adds: reuse. Each number of a tile is loaded once and used by 32 threads.
// Why it helps: the traffic beyond the SM falls to 1/32.
// Still wrong: every FFMA reads two numbers from shared memory. The SM issues 4 warp instructions a
// clock, but its shared memory serves one warp of 32 numbers a clock: the FFMA units wait.
// Published: 12.8 % of cuBLAS, 1.5 times step 2 (RTX A6000, 4096³; siboehm/SGEMM_CUDA, README).
// Ours: not measured on a GPU yet.
#include "platform.cuh"

constexpr int TILE = 32;

__global__ void __launch_bounds__(TILE* TILE)
    matmul_shared(float* __restrict__ C, const float* __restrict__ A, const float* __restrict__ B,
                  int M, int N, int K, long long lda, long long ldb, long long ldc) {
    __shared__ float As[TILE][TILE], Bs[TILE][TILE];
    const int r = threadIdx.y, c = threadIdx.x;  // inside the tile
    const int row = blockIdx.x * TILE + r, col = blockIdx.y * TILE + c;

    float sum = 0.0f;
    for (int k0 = 0; k0 < K; k0 += TILE) {
        // past the edges there are zeros, which add nothing
        As[r][c] = row < M && k0 + c < K ? A[row * lda + k0 + c] : 0.0f;
        Bs[r][c] = k0 + r < K && col < N ? B[(k0 + r) * ldb + col] : 0.0f;
        __syncthreads();  // the tile is complete
        for (int k = 0; k < TILE; ++k) sum += As[r][k] * Bs[k][c];
        __syncthreads();  // nobody reads it any more
    }
    if (row < M && col < N) C[row * ldc + col] = sum;
}

MMB_KERNEL_AS(matmul_shared_f32, matmul_shared);
