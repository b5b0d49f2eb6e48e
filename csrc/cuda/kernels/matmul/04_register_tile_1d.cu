// Ladder of C = A B, step 4: a thread computes a column of 8 numbers of C.
//
//   A (M, K), B (K, N), C (M, N), row by row, lda, ldb, ldc numbers from one row to the next
//   grid    (⌈M/64⌉, ⌈N/64⌉), block 512: a 64 x 64 tile of C, 8 numbers a thread
//   flops   2 M N K
//   shared  64 x 8 of A and 8 x 64 of B: 4 KiB, one number of each loaded by every thread
//
// Adds: reuse in registers. A number of B is read from shared memory once and used 8 times.
// Why it helps: 9 numbers from shared memory for 8 FFMA, where step 3 reads 16.
// Published: 36.5 % of cuBLAS, 2.9 times step 3 (RTX A6000, 4096³; siboehm/SGEMM_CUDA, README).
// Ours: not measured on a GPU yet.
#include "platform.cuh"

constexpr int BM = 64, BN = 64, BK = 8;  // tile of the block
constexpr int TM = 8;                    // rows of a thread
constexpr int THREADS = BM * BN / TM;

__global__ void __launch_bounds__(THREADS)
    matmul_register_1d(float* __restrict__ C, const float* __restrict__ A,
                       const float* __restrict__ B, int M, int N, int K, long long lda,
                       long long ldb, long long ldc) {
    __shared__ float As[BM][BK], Bs[BK][BN];
    static_assert(BM * BK == THREADS && BK * BN == THREADS, "one number a thread a tile");
    const int thread = threadIdx.x;
    const int row0 = blockIdx.x * BM, col0 = blockIdx.y * BN;
    const int row = thread / BN * TM, col = thread % BN;  // first row and the column of this thread

    float sum[TM] = {};
    for (int k0 = 0; k0 < K; k0 += BK) {
        const int ar = thread / BK, ak = thread % BK, bk = thread / BN, bc = thread % BN;
        As[ar][ak] = row0 + ar < M && k0 + ak < K ? A[(row0 + ar) * lda + k0 + ak] : 0.0f;
        Bs[bk][bc] = k0 + bk < K && col0 + bc < N ? B[(k0 + bk) * ldb + col0 + bc] : 0.0f;
        __syncthreads();
#pragma unroll
        for (int k = 0; k < BK; ++k) {
            const float b = Bs[k][col];
#pragma unroll
            for (int i = 0; i < TM; ++i) sum[i] += As[row + i][k] * b;
        }
        __syncthreads();
    }
    for (int i = 0; i < TM; ++i)
        if (row0 + row + i < M && col0 + col < N) C[(row0 + row + i) * ldc + col0 + col] = sum[i];
}

MMB_KERNEL_AS(matmul_register_1d_f32, matmul_register_1d);
