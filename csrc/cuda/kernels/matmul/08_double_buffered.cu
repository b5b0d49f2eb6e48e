// Ladder of C = A B, step 8: the next tiles fly in while this one is multiplied. The kernel that the
// engine uses for float32 and float64.
//
//   C = activation(Z), Z = A B + bias,   activation: none, ReLU, GELU;   bias: none, or a number per column
//
//   Z        stored too where it is not null, as C is: the way back of a GELU starts from it
//   A (M, K), B (K, N): any strides: aᵣₖ = A[r · a_row + k · a_col], so a transpose costs nothing
//   C (M, N), row by row, ldc numbers from one row to the next
//   batches  of them, in two dimensions: number z is the pair (z / inner, z % inner), with a stride each
//   splits   K is divided among so many blocks (few tiles would leave the GPU idle). Each writes its
//            sum to `partial` (splits, batches, M, N); matmul_add_splits adds them in order, without
//            atomics: the same bits in every run
//   grid     batches · splits · ⌈M/BM⌉ · ⌈N/BN⌉ in one dimension; block: the tile's threads
//   flops    2 M N K a batch
//
// Adds: a pipeline of STAGES tiles. cp.async (sm_80) copies from global to shared memory without
// passing through registers; the copy of tile t + STAGES - 1 is issued before tile t is multiplied, so
// its latency, about 600 clocks, hides behind STAGES - 1 tiles of work. On sm_75 one tile rests in
// registers meanwhile (`_registers`, also for float16, which is widened on its way).
// Adds: tiles for large, small, wide and tall C, and split-K.
//
// Why the large tile is 128 x 256 with 8 x 16 numbers a thread (float32):
//   shared memory serves 128 bytes a clock: a quarter of a warp's 16-byte read. At one k a thread
//   reads 8 + 16 numbers in 6 reads of 16 bytes and issues 128 FFMA. Four warps, one on each quarter
//   of the SM, take at most 4 · 6 · 4 = 96 clocks of shared memory for 128 clocks of FFMA; a tile of
//   8 x 8 takes 4 · 4 · 4 = 64 of 64 at worst, and every delay shows.
//   registers: 128 sums + 24 operands + addresses, at most 255; 256 threads fill the 65536 of an SM,
//   one block an SM. Shared memory: 3 stages · 16 · (132 + 260) · 4 bytes = 73.5 KiB.
//   issue slots, counted in the machine code for sm_90a: a tile takes 2048 FFMA, 96 reads, 14 others,
//   and 124 to copy A and B row by row (163 if B is transposed): 90 % (88 %) are FFMA.
// Published: handwritten sgemm of this kind reaches about 105 % of cuBLAS on an RTX 3090, n >= 4500
// (github.com/salykova/sgemm.cu, assets/perf_locked.png). Goal: 1.05 of cuBLAS, 85 % of the FFMA
// limit. Ours: not measured on a GPU yet.
#include "epilogue.cuh"
#include "ptx.cuh"

constexpr int BK = 16;      // depth of a tile
constexpr int STAGES = 3;   // tiles in flight or in use
constexpr int GROUP = 8;    // rows of tiles visited together, so that B stays in the L2 cache

// A block's tile of C: WARPS_M x WARPS_N warps of LANES_M x (32 / LANES_M) lanes of TM x TN numbers.
// BLOCKS of them shall fit an SM's 65536 registers.
template <int TM_, int TN_, int LANES_M_, int WARPS_M_, int WARPS_N_, int BLOCKS_>
struct Tile {
    static constexpr int BLOCKS = BLOCKS_;
    static constexpr int TM = TM_, TN = TN_, LANES_M = LANES_M_, LANES_N = 32 / LANES_M_;
    static constexpr int WARPS_N = WARPS_N_, THREADS = WARPS_M_ * WARPS_N_ * 32;
    static constexpr int WM = TM * LANES_M, WN = TN * LANES_N;
    static constexpr int BM = WM * WARPS_M_, BN = WN * WARPS_N_;
};
//                  TM  TN lanes warps blocks
using Large = Tile<8, 16, 8, 2, 4, 1>;  // 128 x 256
using Medium = Tile<8, 8, 4, 4, 2, 2>;  // 128 x 128
using Small = Tile<4, 8, 4, 4, 1, 4>;   //  64 x 64
using Wide = Tile<4, 8, 8, 1, 4, 4>;    //  32 x 128, for few rows
using Tall = Tile<8, 4, 4, 4, 1, 4>;    // 128 x 32, for few columns
using Double = Tile<4, 4, 4, 4, 2, 1>;  //  64 x 64 of float64
using Resting = Tile<8, 8, 4, 4, 2, 1>;  // 128 x 128 with the next tile in registers

// Shared memory holds a tile of A or B as BK rows of X numbers, x being the row of A or the column of
// B, and PACK more that nobody uses: they move the next row on by 16 bytes, so that a warp that writes
// 8 values of k at 4 of x, as it does when it transposes, meets 32 different banks. (Swizzling as in
// step 7 needs no such space, but an integer instruction or two for each read: 106 of 2270 in the
// loop of the large tile, counted in the machine code for sm_90a.)
template <int X, class S>
constexpr int ROW = X + PACK<S>;

// One operand as the block sees it: `start` points to its first row or column at this split's first k.
template <class T>
struct Operand {
    const T* start;
    long long x_stride, k_stride;
    int x_size, k_size;  // how many of each exist from `start` on
};

// Which numbers of a tile a thread moves one by one: neighbouring threads 8 along k, a warp 8 along k
// and 4 along x. A row of A, or a column of B transposed, gives whole sectors of 32 bytes that way.
template <int X, int THREADS>
struct Turns {
    static constexpr int COUNT = X * BK / THREADS;
    static constexpr int ROUND = X / (THREADS / 8);  // turns until all x have been visited
    int x = threadIdx.x / 8, k = threadIdx.x % 8;    // in turn 0; in turn i it is so much further:
    __device__ __forceinline__ static constexpr int dx(int i) { return i % ROUND * (THREADS / 8); }
    __device__ __forceinline__ static constexpr int dk(int i) { return i / ROUND * 8; }
};

// Begin to copy the tile at k0 into `to`, number by number, at any strides; beyond the edges are zeros.
template <int X, int THREADS, class T>
__device__ __forceinline__ void copy_numbers(T* to, const Operand<T>& from, int k0) {
    using Turn = Turns<X, THREADS>;
    const Turn first;
    const T* p = from.start + first.x * from.x_stride + (k0 + first.k) * from.k_stride;
#pragma unroll
    for (int i = 0; i < Turn::COUNT; ++i) {
        const int x = first.x + Turn::dx(i), k = first.k + Turn::dk(i);
        ptx::cp_async<sizeof(T)>(&to[k * ROW<X, T> + x],
                                 p + Turn::dx(i) * from.x_stride + Turn::dk(i) * from.k_stride,
                                 x < from.x_size && k0 + k < from.k_size ? sizeof(T) : 0);
    }
}

// The same in packs of 16 bytes: x is contiguous, and each row starts at a multiple of 16 bytes.
template <int X, int THREADS, class T>
__device__ __forceinline__ void copy_packs(T* to, const Operand<T>& from, int k0) {
    constexpr int PACKS = X / PACK<T>, DK = THREADS / PACKS;  // packs in a row; rows a turn
    static_assert(THREADS % PACKS == 0 && BK % DK == 0, "a thread stays at its x");
    const int x = threadIdx.x % PACKS * PACK<T>, first_k = threadIdx.x / PACKS;
    const T* p = from.start + x + (k0 + first_k) * from.k_stride;
    const int in_row = max(0, min(PACK<T>, from.x_size - x));
#pragma unroll
    for (int i = 0; i < BK / DK; ++i) {
        const int k = first_k + i * DK;
        ptx::cp_async<16>(&to[k * ROW<X, T> + x], p + i * DK * from.k_stride,
                          k0 + k < from.k_size ? in_row * sizeof(T) : 0);
    }
}

// Through registers, in two halves: read early, write when the place is free.
template <int X, int THREADS, class T, class S>
__device__ __forceinline__ void read_tile(S (&rest)[X * BK / THREADS], const Operand<T>& from, int k0) {
    using Turn = Turns<X, THREADS>;
    const Turn first;
    const T* p = from.start + first.x * from.x_stride + (k0 + first.k) * from.k_stride;
#pragma unroll
    for (int i = 0; i < Turn::COUNT; ++i) {
        const bool inside = first.x + Turn::dx(i) < from.x_size && k0 + first.k + Turn::dk(i) < from.k_size;
        rest[i] = inside ? widen(p[Turn::dx(i) * from.x_stride + Turn::dk(i) * from.k_stride]) : S(0);
    }
}

template <int X, int THREADS, class S>
__device__ __forceinline__ void write_tile(S* to, const S (&rest)[X * BK / THREADS]) {
    using Turn = Turns<X, THREADS>;
    const Turn first;
#pragma unroll
    for (int i = 0; i < Turn::COUNT; ++i) {
        const int x = first.x + Turn::dx(i), k = first.k + Turn::dk(i);
        to[k * ROW<X, S> + x] = rest[i];
    }
}

// sum += the tile of A times the tile of B: an outer product of the thread's numbers for each k.
template <class Tile, class S>
__device__ __forceinline__ void multiply(S (&sum)[Tile::TM][Tile::TN], const S* As, const S* Bs, int row, int col) {
    constexpr int P = PACK<S>;
#pragma unroll
    for (int k = 0; k < BK; ++k) {
        Pack<S, P> a[Tile::TM / P], b[Tile::TN / P];
#pragma unroll
        for (int i = 0; i < Tile::TM / P; ++i)
            a[i] = *reinterpret_cast<const Pack<S, P>*>(&As[k * ROW<Tile::BM, S> + row + i * Tile::LANES_M * P]);
#pragma unroll
        for (int j = 0; j < Tile::TN / P; ++j)
            b[j] = *reinterpret_cast<const Pack<S, P>*>(&Bs[k * ROW<Tile::BN, S> + col + j * Tile::LANES_N * P]);
#pragma unroll
        for (int i = 0; i < Tile::TM; ++i)
#pragma unroll
            for (int j = 0; j < Tile::TN; ++j) sum[i][j] += a[i / P].v[i % P] * b[j / P].v[j % P];
    }
}

// Neighbouring numbers of C leave a thread by one instruction, where they may.
template <class T>
__device__ __forceinline__ void store(T* to, const computed_t<T>* numbers, int valid, bool aligned) {
    constexpr int P = PACK<computed_t<T>>;
    if (aligned && valid >= P) {
        Pack<T, P> v;
#pragma unroll
        for (int i = 0; i < P; ++i) v.v[i] = narrow<T>(numbers[i]);
        *reinterpret_cast<Pack<T, P>*>(to) = v;
        return;
    }
#pragma unroll
    for (int i = 0; i < P; ++i)
        if (i < valid) to[i] = narrow<T>(numbers[i]);
}

// Which tile of C a number of a block means: GROUP rows of tiles, column by column, then the next.
__device__ __forceinline__ void tile_of(int number, int rows, int cols, int& row, int& col) {
    const int group = number / (GROUP * cols), first = group * GROUP;
    const int height = min(GROUP, rows - first), rest = number - group * GROUP * cols;
    row = first + rest % height;
    col = rest / height;
}

template <class T, class Tile, bool ASYNCHRONOUS>
__global__ void __launch_bounds__(Tile::THREADS, Tile::BLOCKS)
    matmul_tiles(T* __restrict__ C, T* __restrict__ Z, computed_t<T>* __restrict__ partial,
                 const T* __restrict__ A, const T* __restrict__ B, const T* __restrict__ bias,
                 int activation, int M, int N, int K, int splits, int batches, int inner,
                 long long a_row, long long a_col, long long b_row, long long b_col, long long ldc,
                 long long a_outer, long long a_inner, long long b_outer, long long b_inner) {
    using S = computed_t<T>;
    constexpr int BM = Tile::BM, BN = Tile::BN, THREADS = Tile::THREADS, P = PACK<S>;
    constexpr int A_STAGE = BK * ROW<BM, S>, B_STAGE = BK * ROW<BN, S>;
    MMB_DYNAMIC_SHARED(S, shared);
    S* const As = shared;
    S* const Bs = shared + (ASYNCHRONOUS ? STAGES : 2) * A_STAGE;

    const int rows = (M + BM - 1) / BM, cols = (N + BN - 1) / BN;
    const int batch = blockIdx.x / (rows * cols) / splits, split = blockIdx.x / (rows * cols) % splits;
    int tile_row, tile_col;
    tile_of(blockIdx.x % (rows * cols), rows, cols, tile_row, tile_col);
    const int row0 = tile_row * BM, col0 = tile_col * BN;

    // this split's share of K, in whole tiles
    const int all_tiles = (K + BK - 1) / BK, share = (all_tiles + splits - 1) / splits;
    const int first_k = min(K, split * share * BK), last_k = min(K, first_k + share * BK);
    const int tiles = (last_k - first_k + BK - 1) / BK;

    A += batch / inner * a_outer + batch % inner * a_inner + row0 * a_row + first_k * a_col;
    B += batch / inner * b_outer + batch % inner * b_inner + first_k * b_row + col0 * b_col;
    const Operand<T> a = {A, a_row, a_col, M - row0, last_k - first_k};
    const Operand<T> b = {B, b_col, b_row, N - col0, last_k - first_k};

    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int row = warp / Tile::WARPS_N * Tile::WM + lane / Tile::LANES_N * P;
    const int col = warp % Tile::WARPS_N * Tile::WN + lane % Tile::LANES_N * P;
    S sum[Tile::TM][Tile::TN] = {};

    if constexpr (ASYNCHRONOUS) {
        const bool a_packs = a_row == 1 && a_col % PACK<T> == 0 && is_aligned16(A);
        const bool b_packs = b_col == 1 && b_row % PACK<T> == 0 && is_aligned16(B);
        auto copy = [&](int tile) {
            if (tile < tiles) {
                T *const a_to = &As[tile % STAGES * A_STAGE], *const b_to = &Bs[tile % STAGES * B_STAGE];
                if (a_packs) copy_packs<BM, THREADS>(a_to, a, tile * BK);
                else copy_numbers<BM, THREADS>(a_to, a, tile * BK);
                if (b_packs) copy_packs<BN, THREADS>(b_to, b, tile * BK);
                else copy_numbers<BN, THREADS>(b_to, b, tile * BK);
            }
            ptx::cp_async_commit();  // an empty group too: wait counts groups
        };
        for (int tile = 0; tile < STAGES - 1; ++tile) copy(tile);
        for (int tile = 0; tile < tiles; ++tile) {
            ptx::cp_async_wait<STAGES - 2>();  // this thread's part of the tile has landed,
            __syncthreads();                   // everybody's; and nobody reads the stage before it
            copy(tile + STAGES - 1);
            const int stage = tile % STAGES;
            multiply<Tile>(sum, &As[stage * A_STAGE], &Bs[stage * B_STAGE], row, col);
        }
        ptx::cp_async_wait<0>();
    } else {
        S a_rest[BM * BK / THREADS], b_rest[BN * BK / THREADS];
        auto read = [&](int k0) {
            read_tile<BM, THREADS>(a_rest, a, k0);
            read_tile<BN, THREADS>(b_rest, b, k0);
        };
        auto write = [&](S* a_to, S* b_to) {
            write_tile<BM, THREADS>(a_to, a_rest);
            write_tile<BN, THREADS>(b_to, b_rest);
        };
        read(0);
        write(As, Bs);
        for (int tile = 0; tile < tiles; ++tile) {
            __syncthreads();  // the tile is complete, and nobody reads the other stage
            const int stage = tile % 2, next = 1 - stage;
            if (tile + 1 < tiles) read((tile + 1) * BK);
            multiply<Tile>(sum, &As[stage * A_STAGE], &Bs[stage * B_STAGE], row, col);
            if (tile + 1 < tiles) write(&As[next * A_STAGE], &Bs[next * B_STAGE]);
        }
    }

    // row0 is M - a.x_size and so on: what the loop keeps anyway needs no register of its own
    const auto store_sums = [&](auto* to, int matrix, long long ld) {
        const long long first_row = static_cast<long long>(matrix) * M + M - a.x_size;
        const int first_col = N - b.x_size;
        const bool aligned = (N | ld) % P == 0 && is_aligned16(to);
#pragma unroll
        for (int i = 0; i < Tile::TM; ++i)
#pragma unroll
            for (int j = 0; j < Tile::TN; j += P) {
                const int r = row + i / P * P * Tile::LANES_M + i % P, c = col + j * Tile::LANES_N;
                const int valid = r < a.x_size ? b.x_size - c : 0;
                store(&to[(first_row + r) * ld + first_col + c], &sum[i][j], valid, aligned);
            }
    };
    if (splits > 1) {
        store_sums(partial, split * batches + batch, N);
        return;
    }
    if (bias != nullptr)
#pragma unroll
        for (int j = 0; j < Tile::TN; ++j) {
            const int c = col + j / P * P * Tile::LANES_N + j % P;
            const S added = c < b.x_size ? widen(bias[N - b.x_size + c]) : S(0);
#pragma unroll
            for (int i = 0; i < Tile::TM; ++i) sum[i][j] += added;
        }
    if (Z != nullptr) store_sums(Z, batch, ldc);
    activate(sum, activation);
    store_sums(C, batch, ldc);
}

// C = activation(Z), Z = Σ partial + bias: the sums of the splits, always in the same order.
//
//   grid (any number), block 256;  bytes  (splits · sizeof(S) + sizeof(T)) · batches · M · N
template <class T>
__global__ void matmul_add_splits(T* __restrict__ C, T* __restrict__ Z,
                                  const computed_t<T>* __restrict__ partial, const T* __restrict__ bias,
                                  int activation, int splits, int N, long long ldc, long long count) {
    const long long step = static_cast<long long>(gridDim.x) * blockDim.x;
    for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
        computed_t<T> sum = 0;
        for (int split = 0; split < splits; ++split) sum += partial[split * count + i];
        if (bias != nullptr) sum += widen(bias[i % N]);
        const long long place = i / N * ldc + i % N;
        if (Z != nullptr) Z[place] = narrow<T>(sum);
        C[place] = narrow<T>(activate(sum, activation));
    }
}

MMB_KERNEL_AS(matmul_large_f32, matmul_tiles<float, Large, true>);
MMB_KERNEL_AS(matmul_medium_f32, matmul_tiles<float, Medium, true>);
MMB_KERNEL_AS(matmul_small_f32, matmul_tiles<float, Small, true>);
MMB_KERNEL_AS(matmul_wide_f32, matmul_tiles<float, Wide, true>);
MMB_KERNEL_AS(matmul_tall_f32, matmul_tiles<float, Tall, true>);
MMB_KERNEL_AS(matmul_small_f64, matmul_tiles<double, Double, true>);
MMB_KERNEL_AS(matmul_medium_registers_f32, matmul_tiles<float, Resting, false>);
MMB_KERNEL_AS(matmul_small_registers_f32, matmul_tiles<float, Small, false>);
MMB_KERNEL_AS(matmul_small_registers_f64, matmul_tiles<double, Double, false>);
MMB_KERNEL_AS(matmul_medium_registers_f16, matmul_tiles<__half, Resting, false>);
MMB_KERNEL_AS(matmul_small_registers_f16, matmul_tiles<__half, Small, false>);
MMB_KERNEL_AS(matmul_add_splits_f32, matmul_add_splits<float>);
MMB_KERNEL_AS(matmul_add_splits_f64, matmul_add_splits<double>);
MMB_KERNEL_AS(matmul_add_splits_f16, matmul_add_splits<__half>);
