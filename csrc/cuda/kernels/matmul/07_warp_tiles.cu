// Ladder of C = A B, step 7: the tile of a block is divided among warps, that of a warp among lanes.
//
//   A (M, K), B (K, N), C (M, N), row by row, lda, ldb, ldc numbers from one row to the next
//   grid    (⌈M/128⌉, ⌈N/128⌉), block 256: a 128 x 128 tile of C
//   flops   2 M N K
//   shared  16 x 128 of A, transposed and swizzled, and 16 x 128 of B: 16 KiB
//
//   block 128 x 128 = 4 x 2 warps of 32 x 64        warp = 2 x 2 pieces of 16 x 32
//   piece 16 x 32   = 4 x 8 lanes of 4 x 4          lane = 4 pieces of 4 x 4 = 8 x 8 numbers
//
// Adds: a level between block and thread. A lane's 8 columns are two groups of 4, so that the 8 lanes
// of a row of lanes read 32 neighbours of B: all 32 banks, once. And A is swizzled: the four rows that
// share 16 bytes trade places with others by a rule that depends on k, so that writing it transposed
// meets no bank twice.
// Why it helps: no read and no write of shared memory waits for another (bank conflicts 1.0); and one
// warp's operands at one k, 32 + 64 numbers, stay in its registers.
// Published: 93.7 % of cuBLAS, 1.1 times step 6 with tuned sizes (RTX A6000, 4096³;
// siboehm/SGEMM_CUDA, README). Ours: not measured on a GPU yet.
#include "four.cuh"
#include "storage.cuh"  // is_aligned16

constexpr int BM = 128, BN = 128, BK = 16;  // tile of the block
constexpr int WM = 32, WN = 64;             // tile of a warp
constexpr int LANES_M = 4, LANES_N = 8;     // the lanes of a warp as a grid
constexpr int PM = WM / (4 * LANES_M), PN = WN / (4 * LANES_N);  // pieces of 4 x 4 of a lane
constexpr int THREADS = (BM / WM) * (BN / WN) * 32;

// Where A[row][k] of the tile lies in row k of As. The lanes of a warp write 4 values of k / 4 and 8
// rows at once; exchanging groups of 8 rows by k / 4 puts them into 32 different banks.
__device__ __forceinline__ int swizzled(int row, int k) { return row ^ (k / 4 * 8); }

__global__ void __launch_bounds__(THREADS)
    matmul_warp_tiles(float* __restrict__ C, const float* __restrict__ A,
                      const float* __restrict__ B, int M, int N, int K, long long lda,
                      long long ldb, long long ldc) {
    __shared__ __align__(16) float As[BK][BM];  // As[k][swizzled(row, k)]
    __shared__ __align__(16) float Bs[BK][BN];
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const int row0 = blockIdx.x * BM, col0 = blockIdx.y * BN;
    const int row = warp / (BN / WN) * WM + lane / LANES_N * 4;  // first of the lane's first piece
    const int col = warp % (BN / WN) * WN + lane % LANES_N * 4;
    const bool a_aligned = is_aligned16(A) && lda % 4 == 0;
    const bool b_aligned = is_aligned16(B) && ldb % 4 == 0;
    const bool c_aligned = is_aligned16(C) && ldc % 4 == 0;

    float sum[PM * 4][PN * 4] = {};
    for (int k0 = 0; k0 < K; k0 += BK) {
#pragma unroll
        for (int i = thread; i < BM * BK / 4; i += THREADS) {
            const int r = i / (BK / 4), k = i % (BK / 4) * 4;
            const float4 a = load4(&A[(row0 + r) * lda + k0 + k], row0 + r < M ? K - k0 - k : 0, a_aligned);
            As[k + 0][swizzled(r, k)] = a.x;
            As[k + 1][swizzled(r, k)] = a.y;
            As[k + 2][swizzled(r, k)] = a.z;
            As[k + 3][swizzled(r, k)] = a.w;
        }
#pragma unroll
        for (int i = thread; i < BK * BN / 4; i += THREADS) {
            const int k = i / (BN / 4), c = i % (BN / 4) * 4;
            const float4 b = load4(&B[(k0 + k) * ldb + col0 + c], k0 + k < K ? N - col0 - c : 0, b_aligned);
            *reinterpret_cast<float4*>(&Bs[k][c]) = b;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < BK; ++k) {
            alignas(16) float fa[PM * 4], fb[PN * 4];
#pragma unroll
            for (int p = 0; p < PM; ++p)
                *reinterpret_cast<float4*>(&fa[p * 4]) =
                    *reinterpret_cast<float4*>(&As[k][swizzled(row + p * 4 * LANES_M, k)]);
#pragma unroll
            for (int q = 0; q < PN; ++q)
                *reinterpret_cast<float4*>(&fb[q * 4]) =
                    *reinterpret_cast<float4*>(&Bs[k][col + q * 4 * LANES_N]);
#pragma unroll
            for (int i = 0; i < PM * 4; ++i)
#pragma unroll
                for (int j = 0; j < PN * 4; ++j) sum[i][j] += fa[i] * fb[j];
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < PM * 4; ++i)
#pragma unroll
        for (int q = 0; q < PN; ++q) {
            const int r = row0 + row + i / 4 * 4 * LANES_M + i % 4, c = col0 + col + q * 4 * LANES_N;
            const float* s = &sum[i][q * 4];
            store4(&C[r * ldc + c], make_float4(s[0], s[1], s[2], s[3]), r < M ? N - c : 0, c_aligned);
        }
}

MMB_KERNEL_AS(matmul_warp_tiles_f32, matmul_warp_tiles);
