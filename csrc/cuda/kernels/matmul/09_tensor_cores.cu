// Ladder of C = A B, step 9: tensor cores, by mma.sync. float (as tf32), float16 and bfloat16.
//
//   C = activation(Z), Z = A B + bias, summed in float32;   bias: none, or a number per column
//
//   Z        stored too where it is not null, as C is: the way back of a GELU starts from it
//   A (M, K), B (K, N): each is contiguous in one dimension, and lda, ldb apart in the other. A that is
//   contiguous along K is "K-major", so is a transposed B, as in Linear's x Wᵀ
//   C (M, N), row by row, ldc apart, of the operands' type
//   batches  in two dimensions: number z is the pair (z / inner, z % inner), with a stride each
//   grid     batches · ⌈M/BM⌉ · ⌈N/BN⌉ in one dimension; block: the tile's threads; sm_80 and later
//   flops    2 M N K a batch
//
// Adds: a warp multiplies a 16 x 16 by a 16 x 8 matrix (tf32: 16 x 8 by 8 x 8) in one instruction.
// On an A100 that is 1024 multiply-adds a clock and SM for 16-bit numbers, and 512 for tf32, where the
// FFMA units of step 8 do 64. The price is precision: tf32 keeps 10 bits of the mantissa, bfloat16 7.
//
// Shared memory must keep up: a warp of 64 x 64 reads 64 + 64 rows of 32 bytes for 32 instructions of
// 8 clocks each; the four quarters of the SM read 4 · 4 KiB in 256 clocks, 64 of the 128 bytes a clock.
// ldmatrix reads eight rows of 16 bytes at a time, which must lie in different banks: groups of 16
// bytes are exchanged by the row (`place`), in both layouts.
// The tile: 128 x 256, 8 warps of 64 x 64, 128 sums a thread, one block an SM; 4 stages of 64 bytes of
// K: 4 · 64 · (128 + 256) = 96 KiB. Small products take 64 x 64, 4 warps of 32 x 32.
// Published: hand-written fp16 kernels of this kind reach 98 to 100 % of cuBLAS on L20, 4090 and 3080
// (LeetCUDA, pull request 243); on H100 mma.sync alone stays far below wgmma, step 10. Ours: not
// measured on a GPU yet.
#include "epilogue.cuh"
#include "ptx.cuh"

constexpr int STAGES = 4;
constexpr int GROUP = 8;  // rows of tiles visited together, so that B stays in the L2 cache

template <class T>
constexpr int BK = 64 / sizeof(T);  // depth of a tile

// A block's tile of C. BLOCKS of them shall fit an SM's 65536 registers.
template <int WM_, int WN_, int WARPS_M_, int WARPS_N_, int BLOCKS_>
struct Tile {
    static constexpr int BLOCKS = BLOCKS_;
    static constexpr int WM = WM_, WN = WN_, WARPS_N = WARPS_N_, THREADS = WARPS_M_ * WARPS_N_ * 32;
    static constexpr int BM = WM * WARPS_M_, BN = WN * WARPS_N_;
};
using Large = Tile<64, 64, 2, 4, 1>;  // 128 x 256
using Small = Tile<32, 32, 2, 2, 5>;  //  64 x 64

// Where number (x, k) of a tile lies in shared memory; x is a row of A or a column of B.
//   K-major   rows of 64 bytes, two to a line of all banks: group k of row x trades places by x / 2
//   X-major   rows of X numbers, each starting at bank 0: group x of row k trades places by k; for
//             tf32, read by fours of k and eights of x, by pairs of groups
template <bool K_MAJOR, int X, class T>
__device__ __forceinline__ int place(int x, int k) {
    constexpr int P = PACK<T>;  // numbers in 16 bytes
    if constexpr (K_MAJOR) return x * BK<T> + ((k / P) ^ (x / 2 % 4)) * P + k % P;
    const int exchange = sizeof(T) == 4 ? k % 4 * 2 : k % 8;
    return k * X + ((x / P) ^ exchange) * P + x % P;
}

template <class T>
struct Operand {
    const T* start;       // of the block's rows or columns
    long long stride;     // between neighbours in the dimension that is not contiguous
    int x_size, k_size;   // how many of each exist from `start` on
    bool aligned;         // packs of 16 bytes may be copied
};

// Begin to copy the tile at k0; zeros stand for what is beyond the edges.
template <bool K_MAJOR, int X, int THREADS, class T>
__device__ __forceinline__ void copy_tile(T* to, const Operand<T>& from, int k0) {
    constexpr int P = PACK<T>, LINE = K_MAJOR ? BK<T> : X;  // numbers in a contiguous line of the tile
    constexpr int COUNT = X * BK<T> / P / THREADS;
    static_assert(COUNT * P * THREADS == X * BK<T>, "every thread copies as many packs");
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
        const int e = i * THREADS + threadIdx.x, along = e % (LINE / P) * P, across = e / (LINE / P);
        const int x = K_MAJOR ? across : along, k = K_MAJOR ? along : across;
        const int left = K_MAJOR ? from.k_size - k0 - k : from.x_size - x;  // numbers until the line ends
        const bool exists = K_MAJOR ? x < from.x_size : k0 + k < from.k_size;
        const int valid = exists ? max(0, min(P, left)) : 0;
        const T* p = from.start + (K_MAJOR ? x * from.stride + k0 + k : (k0 + k) * from.stride + x);
        T* const here = &to[place<K_MAJOR, X, T>(x, k)];
        if (from.aligned) {
            ptx::cp_async<16>(here, p, valid * sizeof(T));
        } else {
#pragma unroll
            for (int q = 0; q < P; ++q) here[q] = q < valid ? p[q] : narrow<T>(0.0f);
        }
    }
}

// The operand of a warp's mma: 16 of x, 32 bytes of k. Registers 0 and 1 are the two eights of x in the
// lower half of k, 2 and 3 in the upper.
template <bool K_MAJOR, int X, class T>
__device__ __forceinline__ void load_operand(uint32_t (&r)[4], const T* tile, int x, int k) {
    constexpr int P = PACK<T>;
    const int lane = threadIdx.x % 32, matrix = lane / 8, row = lane % 8;
    if constexpr (K_MAJOR) {
        ptx::ldmatrix<4>(r, &tile[place<true, X, T>(x + matrix % 2 * 8 + row, k + matrix / 2 * P)]);
    } else if constexpr (sizeof(T) == 2) {
        ptx::ldmatrix<4, true>(r, &tile[place<false, X, T>(x + matrix % 2 * 8, k + matrix / 2 * P + row)]);
    } else {  // ldmatrix transposes numbers of 16 bits only
#pragma unroll
        for (int i = 0; i < 4; ++i)
            r[i] = __float_as_uint(tile[place<false, X, T>(x + i % 2 * 8 + lane / 4, k + i / 2 * P + lane % 4)]);
    }
    if constexpr (sizeof(T) == 4) {
#pragma unroll
        for (int i = 0; i < 4; ++i) r[i] = ptx::round_tf32(__uint_as_float(r[i]));
    }
}

__device__ __forceinline__ void multiply_add(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], float) {
    ptx::mma_tf32(d, a, b);
}
template <class T>
__device__ __forceinline__ void multiply_add(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], T type) {
    ptx::mma(d, a, b, type);
}

template <class T>
__device__ __forceinline__ void store2(T* to, float first, float second, int valid, bool aligned) {
    if (aligned && valid >= 2) {
        const Pack<T, 2> both = {narrow<T>(first), narrow<T>(second)};
        *reinterpret_cast<Pack<T, 2>*>(to) = both;
        return;
    }
    if (valid > 0) to[0] = narrow<T>(first);
    if (valid > 1) to[1] = narrow<T>(second);
}

// Which tile of C a number of a block means: GROUP rows of tiles, column by column, then the next.
__device__ __forceinline__ void tile_of(int number, int rows, int cols, int& row, int& col) {
    const int group = number / (GROUP * cols), first = group * GROUP;
    const int height = min(GROUP, rows - first), rest = number - group * GROUP * cols;
    row = first + rest % height;
    col = rest / height;
}

template <class T, class Tile, bool A_K_MAJOR, bool B_K_MAJOR>
__global__ void __launch_bounds__(Tile::THREADS, Tile::BLOCKS)
    matmul_mma(T* __restrict__ C, T* __restrict__ Z, const T* __restrict__ A, const T* __restrict__ B,
               const T* __restrict__ bias, int activation, int M, int N, int K, int inner, long long lda,
               long long ldb, long long ldc, long long a_outer, long long a_inner, long long b_outer,
               long long b_inner) {
    constexpr int BM = Tile::BM, BN = Tile::BN, THREADS = Tile::THREADS, DEPTH = BK<T>;
    constexpr int FM = Tile::WM / 16, FN = Tile::WN / 8;  // a warp's tile, in instructions
    MMB_DYNAMIC_SHARED(T, shared);
    T *const As = shared, *const Bs = shared + STAGES * BM * DEPTH;

    const int rows = (M + BM - 1) / BM, cols = (N + BN - 1) / BN, batch = blockIdx.x / (rows * cols);
    int tile_row, tile_col;
    tile_of(blockIdx.x % (rows * cols), rows, cols, tile_row, tile_col);
    const int row0 = tile_row * BM, col0 = tile_col * BN;
    A += batch / inner * a_outer + batch % inner * a_inner + row0 * (A_K_MAJOR ? lda : 1LL);
    B += batch / inner * b_outer + batch % inner * b_inner + col0 * (B_K_MAJOR ? ldb : 1LL);
    const Operand<T> a = {A, lda, M - row0, K, is_aligned16(A) && lda % PACK<T> == 0};
    const Operand<T> b = {B, ldb, N - col0, K, is_aligned16(B) && ldb % PACK<T> == 0};

    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int row = warp / Tile::WARPS_N * Tile::WM, col = warp % Tile::WARPS_N * Tile::WN;
    float sum[FM][FN][4] = {};

    const int tiles = (K + DEPTH - 1) / DEPTH;
    auto copy = [&](int tile) {
        if (tile < tiles) {
            copy_tile<A_K_MAJOR, BM, THREADS>(&As[tile % STAGES * BM * DEPTH], a, tile * DEPTH);
            copy_tile<B_K_MAJOR, BN, THREADS>(&Bs[tile % STAGES * BN * DEPTH], b, tile * DEPTH);
        }
        ptx::cp_async_commit();  // an empty group too: wait counts groups
    };
    for (int tile = 0; tile < STAGES - 1; ++tile) copy(tile);
    for (int tile = 0; tile < tiles; ++tile) {
        ptx::cp_async_wait<STAGES - 2>();  // this thread's part of the tile has landed,
        __syncthreads();                   // everybody's; and nobody reads the stage before it
        copy(tile + STAGES - 1);
        const T *const a_tile = &As[tile % STAGES * BM * DEPTH], *const b_tile = &Bs[tile % STAGES * BN * DEPTH];
#pragma unroll
        for (int k = 0; k < DEPTH; k += 2 * PACK<T>) {
            uint32_t fa[FM][4], fb[FN][2];
#pragma unroll
            for (int i = 0; i < FM; ++i) load_operand<A_K_MAJOR, BM>(fa[i], a_tile, row + i * 16, k);
#pragma unroll
            for (int j = 0; j < FN; j += 2) {  // two of B's eights at once
                uint32_t r[4];
                load_operand<B_K_MAJOR, BN>(r, b_tile, col + j * 8, k);
                fb[j][0] = r[0], fb[j + 1][0] = r[1], fb[j][1] = r[2], fb[j + 1][1] = r[3];
            }
#pragma unroll
            for (int i = 0; i < FM; ++i)
#pragma unroll
                for (int j = 0; j < FN; ++j) multiply_add(sum[i][j], fa[i], fb[j], T());
        }
    }
    ptx::cp_async_wait<0>();

#pragma unroll
    for (int i = 0; i < FM; ++i)
#pragma unroll
        for (int j = 0; j < FN; ++j) {
            const int c = col0 + col + j * 8 + lane % 4 * 2;
#pragma unroll
            for (int q = 0; q < 2; ++q) {
                const float added = bias != nullptr && c + q < N ? widen(bias[c + q]) : 0.0f;
                sum[i][j][q] += added;
                sum[i][j][2 + q] += added;
            }
        }
    const auto store_sums = [&](T* to) {
        const bool aligned = ldc % 2 == 0 && N % 2 == 0 && is_aligned16(to);
#pragma unroll
        for (int i = 0; i < FM; ++i)
#pragma unroll
            for (int j = 0; j < FN; ++j)
#pragma unroll
                for (int h = 0; h < 2; ++h) {
                    const int c = col0 + col + j * 8 + lane % 4 * 2;
                    const int r = row0 + row + i * 16 + lane / 4 + h * 8;
                    store2(&to[(static_cast<size_t>(batch) * M + r) * ldc + c], sum[i][j][2 * h],
                           sum[i][j][2 * h + 1], r < M ? N - c : 0, aligned);
                }
    };
    if (Z != nullptr) store_sums(Z);
    activate(sum, activation);
    store_sums(C);
}

// nn: A and B row by row;  nt: B transposed;  tn: A transposed;  tt: both
MMB_KERNEL_AS(matmul_large_nn_tf32, matmul_mma<float, Large, true, false>);
MMB_KERNEL_AS(matmul_large_nt_tf32, matmul_mma<float, Large, true, true>);
MMB_KERNEL_AS(matmul_large_tn_tf32, matmul_mma<float, Large, false, false>);
MMB_KERNEL_AS(matmul_large_tt_tf32, matmul_mma<float, Large, false, true>);
MMB_KERNEL_AS(matmul_small_nn_tf32, matmul_mma<float, Small, true, false>);
MMB_KERNEL_AS(matmul_small_nt_tf32, matmul_mma<float, Small, true, true>);
MMB_KERNEL_AS(matmul_small_tn_tf32, matmul_mma<float, Small, false, false>);
MMB_KERNEL_AS(matmul_small_tt_tf32, matmul_mma<float, Small, false, true>);
MMB_KERNEL_AS(matmul_large_nn_f16, matmul_mma<__half, Large, true, false>);
MMB_KERNEL_AS(matmul_large_nt_f16, matmul_mma<__half, Large, true, true>);
MMB_KERNEL_AS(matmul_large_tn_f16, matmul_mma<__half, Large, false, false>);
MMB_KERNEL_AS(matmul_large_tt_f16, matmul_mma<__half, Large, false, true>);
MMB_KERNEL_AS(matmul_small_nn_f16, matmul_mma<__half, Small, true, false>);
MMB_KERNEL_AS(matmul_small_nt_f16, matmul_mma<__half, Small, true, true>);
MMB_KERNEL_AS(matmul_small_tn_f16, matmul_mma<__half, Small, false, false>);
MMB_KERNEL_AS(matmul_small_tt_f16, matmul_mma<__half, Small, false, true>);
MMB_KERNEL_AS(matmul_large_nn_bf16, matmul_mma<__nv_bfloat16, Large, true, false>);
MMB_KERNEL_AS(matmul_large_nt_bf16, matmul_mma<__nv_bfloat16, Large, true, true>);
MMB_KERNEL_AS(matmul_large_tn_bf16, matmul_mma<__nv_bfloat16, Large, false, false>);
MMB_KERNEL_AS(matmul_large_tt_bf16, matmul_mma<__nv_bfloat16, Large, false, true>);
MMB_KERNEL_AS(matmul_small_nn_bf16, matmul_mma<__nv_bfloat16, Small, true, false>);
MMB_KERNEL_AS(matmul_small_nt_bf16, matmul_mma<__nv_bfloat16, Small, true, true>);
MMB_KERNEL_AS(matmul_small_tn_bf16, matmul_mma<__nv_bfloat16, Small, false, false>);
MMB_KERNEL_AS(matmul_small_tt_bf16, matmul_mma<__nv_bfloat16, Small, false, true>);
