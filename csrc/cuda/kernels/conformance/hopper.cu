// The instructions of hopper.cuh and wgmma.cuh in kernels of their own, so that a GPU and the emulator
// can be compared on the same numbers: tests/gpu/test_ptx_conformance.py. sm_90a only.
#include "hopper.cuh"

// One box of a matrix, as TMA leaves it in shared memory. mbarrier init, expect, wait, invalidate.
__global__ void conformance_tma_load(uint32_t* out, const __grid_constant__ TensorMap map, int col, int row, int bytes) {
    MMB_DYNAMIC_SHARED(unsigned char, shared);
    uint64_t* const barrier = reinterpret_cast<uint64_t*>(shared + bytes);
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(barrier, 1);
        ptx::fence_barrier_init();
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        ptx::tma_prefetch(map);
        ptx::mbarrier_arrive_expect(barrier, bytes);
        ptx::tma_load(shared, map, barrier, col, row);
    }
    ptx::mbarrier_wait(barrier, 0);
    for (int i = threadIdx.x; i < bytes / 4; i += blockDim.x) out[i] = reinterpret_cast<uint32_t*>(shared)[i];
    __syncthreads();
    if (threadIdx.x == 0) ptx::mbarrier_invalidate(barrier);
}

// Shared memory, byte by byte as `in` has it, to a box of a matrix.
__global__ void conformance_tma_store(const __grid_constant__ TensorMap map, const uint32_t* in, int col, int row, int bytes) {
    MMB_DYNAMIC_SHARED(uint32_t, shared);
    for (int i = threadIdx.x; i < bytes / 4; i += blockDim.x) shared[i] = in[i];
    ptx::fence_proxy_async();
    __syncthreads();
    if (threadIdx.x == 0) {
        ptx::tma_store(map, shared, col, row);
        ptx::tma_store_commit();
        ptx::tma_store_wait_read<0>();
    }
}

// D (+)= A B twice, over 32 bytes of K each: at the start of the swizzled lines, and 32 bytes on.
// d: N / 2 numbers of each of 128 threads; a: 64 lines of 128 bytes; b: N lines, both swizzled.
template <class T, int N>
__global__ void __launch_bounds__(128) conformance_wgmma(float* d, const uint32_t* a, const uint32_t* b, int accumulate) {
    MMB_DYNAMIC_SHARED(uint32_t, shared);
    uint32_t* const right = shared + 64 * 32;
    for (int i = threadIdx.x; i < 64 * 32; i += 128) shared[i] = a[i];
    for (int i = threadIdx.x; i < N * 32; i += 128) right[i] = b[i];
    ptx::fence_proxy_async();
    __syncthreads();
    float sum[N / 2];
    for (int i = 0; i < N / 2; ++i) sum[i] = d[threadIdx.x * (N / 2) + i];
    const uint64_t left_operand = ptx::wgmma_operand(shared), right_operand = ptx::wgmma_operand(right);
    ptx::wgmma_fence();
    ptx::wgmma(sum, left_operand, right_operand, accumulate != 0, T());
    ptx::wgmma_commit();
    ptx::wgmma(sum, left_operand + 2, right_operand + 2, true, T());
    ptx::wgmma_commit();
    ptx::wgmma_wait<1>();
    ptx::wgmma_wait<0>();
    for (int i = 0; i < N / 2; ++i) d[threadIdx.x * (N / 2) + i] = sum[i];
}

// Four warps pass a number round: each waits for the phase before its own and adds its index. Then all
// meet at a named barrier, two by two, and one lane of each warp writes.
__global__ void conformance_barriers(int* out, int rounds) {
    MMB_DYNAMIC_SHARED(uint64_t, barriers);
    int* const number = reinterpret_cast<int*>(barriers + 4);
    const int warp = threadIdx.x / 32;
    if (threadIdx.x == 0) {
        for (int i = 0; i < 4; ++i) ptx::mbarrier_init(&barriers[i], 32);
        ptx::fence_barrier_init();
        *number = 0;
    }
    __syncthreads();
    for (int round = 0; round < rounds; ++round) {
        if (warp > 0) ptx::mbarrier_wait(&barriers[warp - 1], round & 1);
        else if (round > 0) ptx::mbarrier_wait(&barriers[3], (round - 1) & 1);
        if (ptx::elect_one()) *number = *number * 3 + warp;
        __syncwarp();
        ptx::mbarrier_arrive(&barriers[warp]);
    }
    if (warp == 0) ptx::mbarrier_wait(&barriers[3], (rounds - 1) & 1);
    ptx::named_barrier(1 + warp % 2, 64);  // warps 0 and 2, 1 and 3
    __syncthreads();
    if (ptx::elect_one()) atomicAdd(&out[warp], *number);
}

MMB_KERNEL(conformance_tma_load);
MMB_KERNEL(conformance_tma_store);
MMB_KERNEL_AS(conformance_wgmma_n64_bf16, conformance_wgmma<__nv_bfloat16, 64>);
MMB_KERNEL_AS(conformance_wgmma_n128_bf16, conformance_wgmma<__nv_bfloat16, 128>);
MMB_KERNEL_AS(conformance_wgmma_n256_bf16, conformance_wgmma<__nv_bfloat16, 256>);
MMB_KERNEL_AS(conformance_wgmma_n128_f16, conformance_wgmma<__half, 128>);
MMB_KERNEL_AS(conformance_wgmma_n256_f16, conformance_wgmma<__half, 256>);
MMB_KERNEL_AS(conformance_wgmma_n128_tf32, conformance_wgmma<float, 128>);
MMB_KERNEL_AS(conformance_wgmma_n256_tf32, conformance_wgmma<float, 256>);
MMB_KERNEL(conformance_barriers);
