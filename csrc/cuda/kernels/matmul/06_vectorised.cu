// Ladder of C = A B, step 6: four numbers at a time.
//
//   A (M, K), B (K, N), C (M, N), row by row, lda, ldb, ldc numbers from one row to the next
//   grid    (⌈M/128⌉, ⌈N/128⌉), block 256: a 128 x 128 tile of C, 8 x 8 numbers a thread
//   flops   2 M N K
//   shared  8 x 128 of A, transposed, and 8 x 128 of B: 8 KiB
//
// Adds: loads and stores of 16 bytes (where rows are aligned; the rest goes one by one), and A lies
// transposed in shared memory, so that the 8 rows of a thread are neighbours there too.
// Why it helps: 4 shared loads for 64 FFMA, where step 5 issues 16; a quarter of the addresses.
// Still wrong: writing A transposed has bank conflicts, and threads 4 apart read B from the same bank.
// Published: 78.4 % of cuBLAS, 1.14 times step 5 (RTX A6000, 4096³; siboehm/SGEMM_CUDA, README).
// Ours: not measured on a GPU yet.
#include "four.cuh"
#include "storage.cuh"  // is_aligned16

constexpr int BM = 128, BN = 128, BK = 8;  // tile of the block
constexpr int TM = 8, TN = 8;              // tile of a thread
constexpr int THREADS = (BM / TM) * (BN / TN);

__global__ void __launch_bounds__(THREADS)
    matmul_vectorised(float* __restrict__ C, const float* __restrict__ A,
                      const float* __restrict__ B, int M, int N, int K, long long lda,
                      long long ldb, long long ldc) {
    __shared__ __align__(16) float As[BK][BM];  // As[k][row]
    __shared__ __align__(16) float Bs[BK][BN];
    static_assert(BM * BK == 4 * THREADS && BK * BN == 4 * THREADS, "four numbers a thread a tile");
    const int thread = threadIdx.x;
    const int row0 = blockIdx.x * BM, col0 = blockIdx.y * BN;
    const int row = thread / (BN / TN) * TM, col = thread % (BN / TN) * TN;
    const int ar = thread / (BK / 4), ak = thread % (BK / 4) * 4;  // the four that it loads
    const int bk = thread / (BN / 4), bc = thread % (BN / 4) * 4;
    const bool a_aligned = is_aligned16(A) && lda % 4 == 0;
    const bool b_aligned = is_aligned16(B) && ldb % 4 == 0;
    const bool c_aligned = is_aligned16(C) && ldc % 4 == 0;

    float sum[TM][TN] = {};
    for (int k0 = 0; k0 < K; k0 += BK) {
        const float4 a = load4(&A[(row0 + ar) * lda + k0 + ak], row0 + ar < M ? K - k0 - ak : 0, a_aligned);
        const float4 b = load4(&B[(k0 + bk) * ldb + col0 + bc], k0 + bk < K ? N - col0 - bc : 0, b_aligned);
        As[ak + 0][ar] = a.x;
        As[ak + 1][ar] = a.y;
        As[ak + 2][ar] = a.z;
        As[ak + 3][ar] = a.w;
        *reinterpret_cast<float4*>(&Bs[bk][bc]) = b;
        __syncthreads();
#pragma unroll
        for (int k = 0; k < BK; ++k) {
            alignas(16) float fa[TM], fb[TN];
#pragma unroll
            for (int i = 0; i < TM; i += 4)
                *reinterpret_cast<float4*>(&fa[i]) = *reinterpret_cast<float4*>(&As[k][row + i]);
#pragma unroll
            for (int j = 0; j < TN; j += 4)
                *reinterpret_cast<float4*>(&fb[j]) = *reinterpret_cast<float4*>(&Bs[k][col + j]);
#pragma unroll
            for (int i = 0; i < TM; ++i)
#pragma unroll
                for (int j = 0; j < TN; ++j) sum[i][j] += fa[i] * fb[j];
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < TM; ++i)
#pragma unroll
        for (int j = 0; j < TN; j += 4) {
            const int r = row0 + row + i, c = col0 + col + j;
            const float4 v = make_float4(sum[i][j], sum[i][j + 1], sum[i][j + 2], sum[i][j + 3]);
            store4(&C[r * ldc + c], v, r < M ? N - c : 0, c_aligned);
        }
}

MMB_KERNEL_AS(matmul_vectorised_f32, matmul_vectorised);
