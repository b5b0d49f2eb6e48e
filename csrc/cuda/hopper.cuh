// The PTX instructions of sm_90a: mbarriers, the tensor memory accelerator (TMA), warpgroup products.
//
// As in ptx.cuh each is one function with two bodies. Shared memory must be the dynamic one, and starts
// at a multiple of 1024 bytes there. "Proxy": ordinary loads and stores go one way to memory, TMA and
// wgmma another; fence_proxy_async is what orders the first before the second.
#pragma once
#include "ptx.cuh"

// A matrix as TMA sees it; the wrapper in Python fills it (tinygrad_mmb/kernels/launch/tensor_map.py).
// On a GPU it is the driver's CUtensorMap; on the emulator it is these fields.
struct alignas(64) TensorMap {
#if defined(__CUDACC__)
    unsigned long long opaque[16];
#else
    const char* start;
    long long rows, cols, row_bytes;
    int box_rows, box_cols, number_bytes, swizzle;  // swizzle: 0 or 128
    char unused[80];
#endif
};
static_assert(sizeof(TensorMap) == 128, "as CUtensorMap");

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define PTX_SM90A 1
#else
#define PTX_SM90A 0
#endif
// Blocks of `n` are a cluster, on the same part of the GPU: for the head of a kernel.
#if defined(__CUDACC__) && (!defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900)
#define PTX_CLUSTER(n) __cluster_dims__(n, 1, 1)
#else
#define PTX_CLUSTER(n)
#endif

#if !defined(__CUDACC__)
namespace emulator {
void mbarrier_init(uint64_t* barrier, int arrivals, Place at);
void mbarrier_invalidate(uint64_t* barrier, Place at);
void mbarrier_arrive(uint64_t* barrier, int bytes, Place at);
void mbarrier_wait(uint64_t* barrier, int parity, Place at);
void fence_barrier_init();
void fence_proxy_async();
void tma_load(void* to, const TensorMap& map, uint64_t* barrier, int col, int row, Place at);
void tma_store(const TensorMap& map, const void* from, int col, int row, Place at);
void tma_store_commit();
void tma_store_wait(int pending);
void wgmma(float* d, int columns, uint64_t a, uint64_t b, bool accumulate, Number number, Place at);
void wgmma_fence();
void wgmma_commit();
void wgmma_wait(int pending, Place at);
void named_barrier(int number, int threads, Place at);
bool elect_one(Place at);
void one_block_cluster(int blocks, Place at);  // more are not emulated: the kernel stops and says so
}  // namespace emulator
#endif

namespace ptx {

// ------------------------------------------------------------------ mbarrier (9.7.13.15)
//
// 8 bytes of shared memory that count: a phase ends when all arrivals have come and all bytes that
// were announced have landed; then the next one begins. Phases are 0, 1, 0, 1 ... ("parity").

// The barrier expects so many arrivals a phase. Make it known by fence_barrier_init and a barrier.
PTX_FUNCTION void mbarrier_init(uint64_t* barrier, int arrivals PTX_AT) {
#if !defined(__CUDACC__)
    emulator::mbarrier_init(barrier, arrivals, at);
#elif PTX_SM90A
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
#else
    PTX_MISSING();
#endif
}

// Its memory may be used for something else.
PTX_FUNCTION void mbarrier_invalidate(uint64_t* barrier PTX_AT) {
#if !defined(__CUDACC__)
    emulator::mbarrier_invalidate(barrier, at);
#elif PTX_SM90A
    asm volatile("mbarrier.inval.shared::cta.b64 [%0];" ::"r"(shared_address(barrier)) : "memory");
#else
    PTX_MISSING();
#endif
}

// mbarrier.init of this thread is seen by TMA and by the other blocks of the cluster (9.7.13.4).
PTX_FUNCTION void fence_barrier_init() {
#if !defined(__CUDACC__)
    emulator::fence_barrier_init();
#elif PTX_SM90A
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#else
    PTX_MISSING();
#endif
}

// What this thread stored in shared memory is seen by TMA and wgmma (9.7.13.4).
PTX_FUNCTION void fence_proxy_async() {
#if !defined(__CUDACC__)
    emulator::fence_proxy_async();
#elif PTX_SM90A
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#else
    PTX_MISSING();
#endif
}

// One arrival.
PTX_FUNCTION void mbarrier_arrive(uint64_t* barrier PTX_AT) {
#if !defined(__CUDACC__)
    emulator::mbarrier_arrive(barrier, 0, at);
#elif PTX_SM90A
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
#else
    PTX_MISSING();
#endif
}

// One arrival at the same barrier in block `rank` of the cluster.
PTX_FUNCTION void mbarrier_arrive_at(uint64_t* barrier, int rank PTX_AT) {
#if !defined(__CUDACC__)
    emulator::one_block_cluster(rank + 1, at);
    emulator::mbarrier_arrive(barrier, 0, at);
#elif PTX_SM90A
    asm volatile(
        "{\n.reg .b32 remote;\n"
        "mapa.shared::cluster.u32 remote, %0, %1;\n"
        "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n}" ::"r"(shared_address(barrier)),
        "r"(rank)
        : "memory");
#else
    PTX_MISSING();
#endif
}

// One arrival, and so many bytes to come: mbarrier.arrive.expect_tx.
PTX_FUNCTION void mbarrier_arrive_expect(uint64_t* barrier, int bytes PTX_AT) {
#if !defined(__CUDACC__)
    emulator::mbarrier_arrive(barrier, bytes, at);
#elif PTX_SM90A
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
#else
    PTX_MISSING();
#endif
}

// Wait until the phase of this parity has ended. Asks mbarrier.try_wait, which sleeps a while in the
// hardware, until it says so. A fresh barrier is in phase 0, so waiting for parity 1 passes.
PTX_FUNCTION void mbarrier_wait(uint64_t* barrier, int parity PTX_AT) {
#if !defined(__CUDACC__)
    emulator::mbarrier_wait(barrier, parity, at);
#elif PTX_SM90A
    asm volatile(
        "{\n.reg .pred done;\n"
        "again:\n"
        "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], %1;\n"
        "@!done bra again;\n}" ::"r"(shared_address(barrier)),
        "r"(parity)
        : "memory");
#else
    PTX_MISSING();
#endif
}

// ------------------------------------------------------------------ TMA (9.7.9.27)
//
// One thread moves a box of a matrix: box_rows rows of 128 bytes. With the 128-byte swizzle the 16-byte
// groups of a row in shared memory are exchanged by the row: group g of the row at address a lies at
// g xor (a / 128 % 8), so that 8 rows of one column of groups meet all banks. Rows and columns outside
// the matrix read as zeros and are not written.

// The map will be needed soon.
PTX_FUNCTION void tma_prefetch(const TensorMap& map) {
#if !defined(__CUDACC__)
    static_cast<void>(map);
#elif PTX_SM90A
    asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
#else
    PTX_MISSING();
#endif
}

// The box at (row, col) of the matrix to `to`, a multiple of 128 bytes; its bytes count at `barrier`.
PTX_FUNCTION void tma_load(void* to, const TensorMap& map, uint64_t* barrier, int col, int row PTX_AT) {
#if !defined(__CUDACC__)
    emulator::tma_load(to, map, barrier, col, row, at);
#elif PTX_SM90A
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::"r"(
            shared_address(to)),
        "l"(&map), "r"(shared_address(barrier)), "r"(col), "r"(row)
        : "memory");
#else
    PTX_MISSING();
#endif
}

// The same to the same place in each block of the cluster whose bit is set in `blocks`, and its bytes
// count at the barrier at the same place there.
PTX_FUNCTION void tma_load_multicast(void* to, const TensorMap& map, uint64_t* barrier, int col, int row, int blocks PTX_AT) {
#if !defined(__CUDACC__)
    emulator::one_block_cluster(blocks, at);
    emulator::tma_load(to, map, barrier, col, row, at);
#elif PTX_SM90A
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
        "[%0], [%1, {%3, %4}], [%2], %5;" ::"r"(shared_address(to)),
        "l"(&map), "r"(shared_address(barrier)), "r"(col), "r"(row), "h"(static_cast<uint16_t>(blocks))
        : "memory");
#else
    PTX_MISSING();
#endif
}

// The box in shared memory to (row, col) of the matrix.
PTX_FUNCTION void tma_store(const TensorMap& map, const void* from, int col, int row PTX_AT) {
#if !defined(__CUDACC__)
    emulator::tma_store(map, from, col, row, at);
#elif PTX_SM90A
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%2, %3}], [%1];" ::"l"(&map),
                 "r"(shared_address(from)), "r"(col), "r"(row)
                 : "memory");
#else
    PTX_MISSING();
#endif
}

// This thread's stores since the last one are a group.
PTX_FUNCTION void tma_store_commit() {
#if !defined(__CUDACC__)
    emulator::tma_store_commit();
#elif PTX_SM90A
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
#else
    PTX_MISSING();
#endif
}

// Wait until at most PENDING of this thread's groups still read shared memory.
template <int PENDING>
PTX_FUNCTION void tma_store_wait_read() {
#if !defined(__CUDACC__)
    emulator::tma_store_wait(PENDING);
#elif PTX_SM90A
    asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(PENDING) : "memory");
#else
    PTX_MISSING();
#endif
}

// ------------------------------------------------------------------ wgmma (9.7.15)
//
// The 128 threads of a warpgroup (four warps, the first a multiple of 4) compute D (+)= A B with A
// (64, K) and B (K, N) in shared memory, K being 32 bytes of numbers. It runs on while they go on:
//
//   wgmma_fence    before the first, and after the threads touched D
//   wgmma          any number of them
//   wgmma_commit   those since the last one are a group
//   wgmma_wait<n>  until at most n groups run: only then may D be read, or A and B be written over
//
// Thread t of the warpgroup, lane l of warp w, holds of D in d[4 j + 2 h + i]:
// row 16 w + l / 4 + 8 h, column 8 j + 2 (l % 4) + i.

// Earlier uses of registers by this thread come before the products that follow.
PTX_FUNCTION void wgmma_fence() {
#if !defined(__CUDACC__)
    emulator::wgmma_fence();
#elif PTX_SM90A
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#else
    PTX_MISSING();
#endif
}

// These products are a group.
PTX_FUNCTION void wgmma_commit() {
#if !defined(__CUDACC__)
    emulator::wgmma_commit();
#elif PTX_SM90A
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#else
    PTX_MISSING();
#endif
}

// Wait until at most PENDING groups run.
template <int PENDING>
PTX_FUNCTION void wgmma_wait(PTX_AT_ONLY) {
#if !defined(__CUDACC__)
    emulator::wgmma_wait(PENDING, at);
#elif PTX_SM90A
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
#else
    PTX_MISSING();
#endif
}

// Where an operand lies in shared memory (9.7.15.5.1): K-major, that is the K numbers of one row of A
// or column of B are neighbours; rows of 128 bytes with TMA's swizzle, 8 of them every 1024 bytes.
// The next K numbers, 32 bytes on, are at descriptor + 2: the address counts in 16 bytes.
PTX_FUNCTION uint64_t wgmma_operand(const void* p) {
#if defined(__CUDACC__)
    const uint32_t address = shared_address(p);
#else
    const uint32_t address = emulator::shared_address(p);
#endif
    const uint64_t start = (address & 0x3ffff) >> 4, leading = 1, stride = 1024 >> 4, swizzle_128 = 1;
    return start | leading << 16 | stride << 32 | swizzle_128 << 62;
}

// ------------------------------------------------------------------ warps and clusters

// setmaxnreg (9.7.20.5): this warpgroup gives registers back, so that each thread keeps COUNT ...
template <int COUNT>
PTX_FUNCTION void give_registers() {
#if !defined(__CUDACC__)
    static_assert(COUNT % 8 == 0 && COUNT >= 24 && COUNT <= 256, "a multiple of 8 from 24 to 256");
#elif PTX_SM90A
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(COUNT));
#else
    PTX_MISSING();
#endif
}

// ... or waits until there are so many for each of its threads.
template <int COUNT>
PTX_FUNCTION void take_registers() {
#if !defined(__CUDACC__)
    static_assert(COUNT % 8 == 0 && COUNT >= 24 && COUNT <= 256, "a multiple of 8 from 24 to 256");
#elif PTX_SM90A
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(COUNT));
#else
    PTX_MISSING();
#endif
}

// True in one lane of the warp, which is whole (9.7.13.14).
PTX_FUNCTION bool elect_one(PTX_AT_ONLY) {
#if !defined(__CUDACC__)
    return emulator::elect_one(at);
#elif PTX_SM90A
    uint32_t elected;
    asm volatile("{\n.reg .pred p;\nelect.sync _|p, 0xffffffff;\nselp.u32 %0, 1, 0, p;\n}" : "=r"(elected));
    return elected != 0;
#else
    PTX_MISSING();
#endif
}

// bar.sync (9.7.13.1): `threads` threads of the block meet, at barrier 1 to 15; 0 is __syncthreads.
PTX_FUNCTION void named_barrier(int number, int threads PTX_AT) {
#if !defined(__CUDACC__)
    emulator::named_barrier(number, threads, at);
#elif PTX_SM90A
    asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(threads) : "memory");
#else
    PTX_MISSING();
#endif
}

// This block's number in its cluster.
PTX_FUNCTION int cluster_rank() {
#if !defined(__CUDACC__)
    return 0;
#elif PTX_SM90A
    uint32_t rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return static_cast<int>(rank);
#else
    PTX_MISSING();
#endif
}

// All threads of all BLOCKS of the cluster meet (9.7.13.3).
template <int BLOCKS>
PTX_FUNCTION void cluster_sync(PTX_AT_ONLY) {
#if !defined(__CUDACC__)
    emulator::one_block_cluster(BLOCKS, at);
    emulator::block_barrier(emulator::Reduce::none, 0, at);
#elif PTX_SM90A
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
#else
    PTX_MISSING();
#endif
}

}  // namespace ptx

#include "wgmma.cuh"
