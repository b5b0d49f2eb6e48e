// Ladder of C = A Bᵀ, step 10: TMA fetches, warpgroups multiply (wgmma). sm_90a only.
//
//   C = activation(A Bᵀ + bias), summed in float32;   bias: none, or a number per column. What the
//   activation is applied to is not stored: the way back of a GELU needs step 08 or 09
//
//   A (M, K), B (N, K), both K-major: rows that start at multiples of 16 bytes. As in Linear's x Wᵀ
//   C (M, N), row by row, ldc apart
//   numbers  bfloat16, float16; float32 as tf32, whose lower 13 bits are cut off, not rounded
//   grid     as many blocks as the GPU has SMs (persistent), a multiple of CLUSTER; block 384
//   flops    2 M N K
//
// Adds: one thread moves the tiles. It tells TMA "this box of A"; addresses, edges, swizzle and the
// count of what has landed are done by hardware, so no registers and no instructions of the others go
// into loading. Warpgroup 0 fetches, warpgroups 1 and 2 multiply 64 rows each (warp specialisation).
// Adds: wgmma takes both operands from shared memory: 64 + 256 rows of 32 bytes, 10 KiB, for
// 64 · 256 · 16 multiply-adds. An H100 does 2048 of them a clock and SM (989 TFLOP/s), so that is 128
// clocks and 80 of the 128 bytes a clock that shared memory gives; n128 would ask for 96 of them.
// Adds: mbarriers instead of __syncthreads. full[s]: the bytes of stage s have landed; empty[s]: both
// consumers have read it. One group of products stays in flight while the next stage is awaited.
// Adds: clusters of 2 blocks, one above the other: they share the tile of B, each fetches half of it
// and TMA delivers it to both; a third less is read from L2: 16 + 16 of 16 + 32 KiB a stage.
//
// Why these sizes: 128 x 256 of C is 128 sums a thread in two warpgroups; setmaxnreg moves registers
// from the fetching one (40) to them (232): 128 · 40 + 256 · 232 = 64512 of 65536. A stage is 128 bytes
// of K, the width of the swizzle: (128 + 256) · 128 bytes = 48 KiB, four are 192 KiB. 32 KiB more stage
// C for the TMA store, which runs while the next tile is multiplied: 224 KiB of 227.
// Published: 763 TFLOP/s where cuBLAS gave 716, 4096³ bfloat16 on an H100 (github.com/pranjalssh/fast.cu,
// README; its issue 13 could not repeat that on another H100). Goal: 1.03 of cuBLAS at 4096, 1.0 at 8192.
// Ours: not measured, and not yet run, on a GPU.
#include "epilogue.cuh"
#include "hopper.cuh"

constexpr int BM = 128;      // rows of a block's tile, 64 for each consumer
constexpr int STAGES = 4;
constexpr int GROUP = 8;     // rows of tiles visited together, so that B stays in the L2 cache
constexpr int CONSUMERS = 2; // warpgroups that multiply
constexpr int LINE = 128;    // bytes of K in a stage: one line of all banks, which TMA swizzles

template <class T>
constexpr int BK = LINE / sizeof(T);

// Shared memory: stages of A and B, then (if C leaves by TMA) 64 rows of two lines for each consumer,
// then the mbarriers.
template <class T, int BN>
struct Shared {
    static constexpr int A = BM * LINE, B = BN * LINE, STAGE = A + B;
    static constexpr int C = sizeof(T) == 2 ? 64 * 2 * LINE : 0;
    static constexpr int C_START = STAGES * STAGE, BARRIERS = C_START + CONSUMERS * C;
    static constexpr int BYTES = BARRIERS + 2 * STAGES * 8;
};

// Which tile of C a number means: GROUP rows of tiles, column by column, then the next.
__device__ __forceinline__ void tile_of(int number, int rows, int cols, int& row, int& col) {
    const int group = number / (GROUP * cols), first = group * GROUP;
    const int height = min(GROUP, rows - first), rest = number - group * GROUP * cols;
    row = first + rest % height;
    col = rest / height;
}

// Stages are used in turn; a barrier's phase changes each time that its stage comes round.
struct Turn {
    int stage = 0, phase = 0;
    __device__ __forceinline__ void next() {
        if (++stage == STAGES) stage = 0, phase ^= 1;
    }
};

template <class T, int BN, int CLUSTER>
__global__ void PTX_CLUSTER(CLUSTER) __launch_bounds__(128 * (1 + CONSUMERS))
    matmul_wgmma(T* __restrict__ C, const __grid_constant__ TensorMap map_a, const __grid_constant__ TensorMap map_b,
                 const __grid_constant__ TensorMap map_c, const T* __restrict__ bias, int activation, int M, int N,
                 int K, long long ldc, int by_tma) {
    using S = Shared<T, BN>;
    MMB_DYNAMIC_SHARED(unsigned char, shared);
    uint64_t *const full = reinterpret_cast<uint64_t*>(shared + S::BARRIERS), *const empty = full + STAGES;
    const int warpgroup = threadIdx.x / 128, thread = threadIdx.x % 128;
    const int rank = CLUSTER == 1 ? 0 : ptx::cluster_rank();

    if (threadIdx.x == 0) {
        for (int s = 0; s < STAGES; ++s) {
            ptx::mbarrier_init(&full[s], 1);                      // the fetching thread; the bytes count apart
            ptx::mbarrier_init(&empty[s], CONSUMERS * CLUSTER);  // one thread of each consumer
        }
        ptx::fence_barrier_init();
    }
    if constexpr (CLUSTER > 1) ptx::cluster_sync<CLUSTER>();
    else __syncthreads();

    const int rows = (M + CLUSTER * BM - 1) / (CLUSTER * BM), cols = (N + BN - 1) / BN;
    const int tiles = (K + BK<T> - 1) / BK<T>;
    const int first = blockIdx.x / CLUSTER, step = gridDim.x / CLUSTER;
    Turn turn;

    if (warpgroup == 0) {
        ptx::give_registers<40>();
        if (thread == 0) {
            ptx::tma_prefetch(map_a);
            ptx::tma_prefetch(map_b);
            for (int number = first; number < rows * cols; number += step) {
                int tile_row, tile_col;
                tile_of(number, rows, cols, tile_row, tile_col);
                const int row0 = (tile_row * CLUSTER + rank) * BM, col0 = tile_col * BN;
                for (int tile = 0; tile < tiles; ++tile, turn.next()) {
                    unsigned char *const a = shared + turn.stage * S::STAGE, *const b = a + S::A;
                    uint64_t* const landed = &full[turn.stage];
                    ptx::mbarrier_wait(&empty[turn.stage], turn.phase ^ 1);  // passes in the first round
                    ptx::mbarrier_arrive_expect(landed, S::STAGE);
                    ptx::tma_load(a, map_a, landed, tile * BK<T>, row0);
                    if constexpr (CLUSTER == 1)
                        ptx::tma_load(b, map_b, landed, tile * BK<T>, col0);
                    else
                        ptx::tma_load_multicast(b + rank * (S::B / CLUSTER), map_b, landed, tile * BK<T>,
                                                col0 + rank * (BN / CLUSTER), (1 << CLUSTER) - 1);
                }
            }
        }
        __syncwarp();  // lane 0 comes late; what follows asks for whole warps
    } else {
        ptx::take_registers<232>();
        const int consumer = warpgroup - 1;
        auto release = [&](int stage) {
            if (thread < CLUSTER) {
                if constexpr (CLUSTER == 1) ptx::mbarrier_arrive(&empty[stage]);
                else ptx::mbarrier_arrive_at(&empty[stage], thread);
            }
        };
        for (int number = first; number < rows * cols; number += step) {
            int tile_row, tile_col;
            tile_of(number, rows, cols, tile_row, tile_col);
            const int row0 = (tile_row * CLUSTER + rank) * BM + consumer * 64, col0 = tile_col * BN;

            float sum[BN / 2];
            int before = 0;  // the stage that the group in flight reads
            for (int tile = 0; tile < tiles; ++tile, turn.next()) {
                ptx::mbarrier_wait(&full[turn.stage], turn.phase);
                const unsigned char* const a = shared + turn.stage * S::STAGE;
                const uint64_t a_operand = ptx::wgmma_operand(a + consumer * 64 * LINE);
                const uint64_t b_operand = ptx::wgmma_operand(a + S::A);
                ptx::wgmma_fence();
#pragma unroll
                for (int k = 0; k < LINE / 32; ++k)  // 32 bytes of K each: + 2 in a descriptor
                    ptx::wgmma(sum, a_operand + 2 * k, b_operand + 2 * k, tile + k > 0, T());
                ptx::wgmma_commit();
                if (tile > 0) {
                    ptx::wgmma_wait<1>();
                    release(before);
                }
                before = turn.stage;
            }
            ptx::wgmma_wait<0>();
            release(before);

            // sum[4 j + 2 h + i] is row `row` + 8 h, column 8 j + 2 (lane % 4) + i
            const int lane = thread % 32, row = thread / 32 * 16 + lane / 4;
#pragma unroll
            for (int j = 0; j < BN / 8; ++j)
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    const int c = col0 + j * 8 + lane % 4 * 2 + i;
                    const float added = bias != nullptr && c < N ? widen(bias[c]) : 0.0f;
                    sum[4 * j + i] += added;
                    sum[4 * j + 2 + i] += added;
                }
            activate(sum, activation);

            if constexpr (sizeof(T) == 2) {
                if (by_tma) {  // 128 columns at a time: two boxes of 64 rows and 128 bytes
                    unsigned char* const stage = shared + S::C_START + consumer * S::C;
#pragma unroll
                    for (int part = 0; part < BN / 128; ++part) {
                        if (thread == 0) ptx::tma_store_wait_read<0>();  // the part before has left
                        ptx::named_barrier(1 + consumer, 128);
#pragma unroll
                        for (int j = 0; j < 16; ++j)
#pragma unroll
                            for (int h = 0; h < 2; ++h) {
                                const float* const s = &sum[4 * (part * 16 + j) + 2 * h];
                                const int r = row + 8 * h, group = j % 8 ^ r % 8;  // as TMA swizzles
                                const Pack<T, 2> both = {narrow<T>(s[0]), narrow<T>(s[1])};
                                *reinterpret_cast<Pack<T, 2>*>(stage + j / 8 * 64 * LINE + r * LINE + group * 16 +
                                                               lane % 4 * 4) = both;
                            }
                        ptx::fence_proxy_async();
                        ptx::named_barrier(1 + consumer, 128);
                        if (thread == 0) {
                            for (int box = 0; box < 2; ++box)
                                ptx::tma_store(map_c, stage + box * 64 * LINE, col0 + part * 128 + box * 64, row0);
                            ptx::tma_store_commit();
                        }
                    }
                    continue;
                }
            }
            const bool aligned = ldc % 2 == 0 && is_aligned16(C);
#pragma unroll
            for (int j = 0; j < BN / 8; ++j)
#pragma unroll
                for (int h = 0; h < 2; ++h) {
                    const int r = row0 + row + 8 * h, c = col0 + j * 8 + lane % 4 * 2;
                    const float* const s = &sum[4 * j + 2 * h];
                    if (r >= M || c >= N) continue;
                    T* const to = &C[r * ldc + c];
                    if (aligned && c + 1 < N) {
                        const Pack<T, 2> both = {narrow<T>(s[0]), narrow<T>(s[1])};
                        *reinterpret_cast<Pack<T, 2>*>(to) = both;
                    } else {
                        to[0] = narrow<T>(s[0]);
                        if (c + 1 < N) to[1] = narrow<T>(s[1]);
                    }
                }
        }
        if (thread == 0) ptx::tma_store_wait_read<0>();  // shared memory must outlive its readers
    }
    // a block must not end while another of its cluster may still deliver to it
    if constexpr (CLUSTER > 1) ptx::cluster_sync<CLUSTER>();
}

MMB_KERNEL_AS(matmul_wgmma_n256_bf16, matmul_wgmma<__nv_bfloat16, 256, 1>);
MMB_KERNEL_AS(matmul_wgmma_n256_cluster2_bf16, matmul_wgmma<__nv_bfloat16, 256, 2>);
MMB_KERNEL_AS(matmul_wgmma_n128_bf16, matmul_wgmma<__nv_bfloat16, 128, 1>);
MMB_KERNEL_AS(matmul_wgmma_n256_f16, matmul_wgmma<__half, 256, 1>);
MMB_KERNEL_AS(matmul_wgmma_n256_cluster2_f16, matmul_wgmma<__half, 256, 2>);
MMB_KERNEL_AS(matmul_wgmma_n256_tf32, matmul_wgmma<float, 256, 1>);
MMB_KERNEL_AS(matmul_wgmma_n256_cluster2_tf32, matmul_wgmma<float, 256, 2>);
