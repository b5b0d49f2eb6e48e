// Ladder of C = A B, step 5: a thread computes 8 x 8 numbers of C.
//
//   A (M, K), B (K, N), C (M, N), row by row, lda, ldb, ldc numbers from one row to the next
//   grid    (⌈M/128⌉, ⌈N/128⌉), block 256: a 128 x 128 tile of C
//   flops   2 M N K
//   shared  128 x 8 of A and 8 x 128 of B: 8 KiB
//
// Adds: an outer product in registers. At one k, 8 numbers of A and 8 of B give 64 FFMA.
// Why it helps: 16 numbers from shared memory for 64 FFMA: 0.25 each, where step 4 reads 1.1.
// Still wrong: the 16 threads of a half-warp read B 8 numbers apart, so only 4 of the 32 banks work:
// each of these reads takes 4 turns. Step 7 mends it.
// Published: 68.7 % of cuBLAS, 1.9 times step 4 (RTX A6000, 4096³; siboehm/SGEMM_CUDA, README).
// Ours: not measured on a GPU yet.
#include "platform.cuh"

constexpr int BM = 128, BN = 128, BK = 8;  // tile of the block
constexpr int TM = 8, TN = 8;              // tile of a thread
constexpr int THREADS = (BM / TM) * (BN / TN);

__global__ void __launch_bounds__(THREADS)
    matmul_register_2d(float* __restrict__ C, const float* __restrict__ A,
                       const float* __restrict__ B, int M, int N, int K, long long lda,
                       long long ldb, long long ldc) {
    __shared__ float As[BM][BK], Bs[BK][BN];
    const int thread = threadIdx.x;
    const int row0 = blockIdx.x * BM, col0 = blockIdx.y * BN;
    const int row = thread / (BN / TN) * TM, col = thread % (BN / TN) * TN;

    float sum[TM][TN] = {};
    for (int k0 = 0; k0 < K; k0 += BK) {
#pragma unroll
        for (int i = thread; i < BM * BK; i += THREADS) {
            const int r = i / BK, k = i % BK;
            As[r][k] = row0 + r < M && k0 + k < K ? A[(row0 + r) * lda + k0 + k] : 0.0f;
        }
#pragma unroll
        for (int i = thread; i < BK * BN; i += THREADS) {
            const int k = i / BN, c = i % BN;
            Bs[k][c] = k0 + k < K && col0 + c < N ? B[(k0 + k) * ldb + col0 + c] : 0.0f;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < BK; ++k) {
            float a[TM], b[TN];
#pragma unroll
            for (int i = 0; i < TM; ++i) a[i] = As[row + i][k];
#pragma unroll
            for (int j = 0; j < TN; ++j) b[j] = Bs[k][col + j];
#pragma unroll
            for (int i = 0; i < TM; ++i)
#pragma unroll
                for (int j = 0; j < TN; ++j) sum[i][j] += a[i] * b[j];
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < TM; ++i)
#pragma unroll
        for (int j = 0; j < TN; ++j) {
            const int r = row0 + row + i, c = col0 + col + j;
            if (r < M && c < N) C[r * ldc + c] = sum[i][j];
        }
}

MMB_KERNEL_AS(matmul_register_2d_f32, matmul_register_2d);
