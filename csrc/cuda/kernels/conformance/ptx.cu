// Each instruction of ptx.cuh in a kernel of its own, so that a GPU and the emulator can be compared on
// the same numbers: tests/gpu/test_ptx_conformance.py. One warp, except where said.
#include "ptx.cuh"

// Lane l copies BYTES from place from[l] of `in` to its place in shared memory, valid[l] of them; then a
// second group over the upper half. `out` is shared memory when the first group has landed, then all.
template <int BYTES>
__global__ void conformance_cp_async(unsigned char* out, const unsigned char* in, const int* from, const int* valid) {
    __shared__ __align__(16) unsigned char shared[64 * BYTES];
    const int lane = threadIdx.x;
    for (int i = lane; i < 64 * BYTES; i += 32) shared[i] = 0xab;
    __syncthreads();
    ptx::cp_async<BYTES>(&shared[lane * BYTES], &in[from[lane] * BYTES], valid[lane]);
    ptx::cp_async_commit();
    ptx::cp_async<BYTES>(&shared[(32 + lane) * BYTES], &in[from[31 - lane] * BYTES], valid[31 - lane]);
    ptx::cp_async_commit();
    ptx::cp_async_wait<1>();
    __syncthreads();
    for (int i = lane; i < 32 * BYTES; i += 32) out[i] = shared[i];
    ptx::cp_async_wait<0>();
    __syncthreads();
    for (int i = lane; i < 64 * BYTES; i += 32) out[32 * BYTES + i] = shared[i];
}

// Rows of 16 bytes in an order of their own; out[lane][i] is what lane's register i got.
template <int COUNT, bool TRANSPOSED>
__global__ void conformance_ldmatrix(uint32_t* out, const uint32_t* in, const int* row) {
    __shared__ __align__(16) uint32_t shared[32 * 4];
    const int lane = threadIdx.x;
    for (int i = lane; i < 32 * 4; i += 32) shared[i] = in[i];
    __syncthreads();
    uint32_t registers[COUNT];
    ptx::ldmatrix<COUNT, TRANSPOSED>(registers, &shared[row[lane] * 4]);
    for (int i = 0; i < COUNT; ++i) out[lane * COUNT + i] = registers[i];
}

__global__ void conformance_round_tf32(uint32_t* out, const float* in) {
    out[threadIdx.x] = ptx::round_tf32(in[threadIdx.x]);
}

__device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], float) {
    ptx::mma_tf32(d, a, b);
}
template <class T>
__device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], T type) {
    ptx::mma(d, a, b, type);
}

// d, a, b: 4, 4 and 2 registers of each lane
template <class T>
__global__ void conformance_mma(float* d, const uint32_t* a, const uint32_t* b) {
    const int lane = threadIdx.x;
    float sum[4];
    uint32_t left[4], right[2];
    for (int i = 0; i < 4; ++i) sum[i] = d[lane * 4 + i], left[i] = a[lane * 4 + i];
    for (int i = 0; i < 2; ++i) right[i] = b[lane * 2 + i];
    multiply(sum, left, right, T());
    for (int i = 0; i < 4; ++i) d[lane * 4 + i] = sum[i];
}

MMB_KERNEL_AS(conformance_cp_async_4, conformance_cp_async<4>);
MMB_KERNEL_AS(conformance_cp_async_8, conformance_cp_async<8>);
MMB_KERNEL_AS(conformance_cp_async_16, conformance_cp_async<16>);
MMB_KERNEL_AS(conformance_ldmatrix_x1, conformance_ldmatrix<1, false>);
MMB_KERNEL_AS(conformance_ldmatrix_x2, conformance_ldmatrix<2, false>);
MMB_KERNEL_AS(conformance_ldmatrix_x4, conformance_ldmatrix<4, false>);
MMB_KERNEL_AS(conformance_ldmatrix_x1_trans, conformance_ldmatrix<1, true>);
MMB_KERNEL_AS(conformance_ldmatrix_x2_trans, conformance_ldmatrix<2, true>);
MMB_KERNEL_AS(conformance_ldmatrix_x4_trans, conformance_ldmatrix<4, true>);
MMB_KERNEL(conformance_round_tf32);
MMB_KERNEL_AS(conformance_mma_tf32, conformance_mma<float>);
MMB_KERNEL_AS(conformance_mma_f16, conformance_mma<__half>);
MMB_KERNEL_AS(conformance_mma_bf16, conformance_mma<__nv_bfloat16>);
