// One small kernel per family of device functions; test_device_functions.py knows the results.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
#include <mma.h>

#include "platform.cuh"

namespace cg = cooperative_groups;

__device__ int index() { return blockIdx.x * blockDim.x + threadIdx.x; }

__global__ void widen_half(float* y, const __half* x) { y[index()] = __half2float(x[index()]); }
__global__ void narrow_half(__half* nearest, __half* zero, __half* down, __half* up, __half* from_double, const float* x, const double* d, int n) {
    const int i = index();
    if (i >= n) return;
    nearest[i] = __float2half_rn(x[i]);
    zero[i] = __float2half_rz(x[i]);
    down[i] = __float2half_rd(x[i]);
    up[i] = __float2half_ru(x[i]);
    from_double[i] = __double2half(d[i]);
}
__global__ void half_arithmetic(__half* sum, __half* product, __half* quotient, __half* fused, const __half* a, const __half* b, const __half* c, int n) {
    const int i = index();
    if (i >= n) return;
    sum[i] = a[i] + b[i];
    product[i] = a[i] * b[i];
    quotient[i] = a[i] / b[i];
    fused[i] = __hfma(a[i], b[i], c[i]);
}
__global__ void pair_arithmetic(__half2* y, const __half2* a, const __half2* b) {
    y[index()] = __hfma2(a[index()], b[index()], __floats2half2_rn(1, 2));
}
__global__ void widen_bfloat16(float* y, const __nv_bfloat16* x) { y[index()] = __bfloat162float(x[index()]); }
__global__ void narrow_bfloat16(__nv_bfloat16* y, const float* x, int n) {
    if (index() < n) y[index()] = __float2bfloat16(x[index()]);
}

template <class T>
__global__ void shuffles(T* y, const T* x, int width) {
    const int lane = threadIdx.x;
    y[lane] = __shfl_sync(0xffffffffu, x[lane], 3, width);
    y[32 + lane] = __shfl_up_sync(0xffffffffu, x[lane], 2, width);
    y[64 + lane] = __shfl_down_sync(0xffffffffu, x[lane], 2, width);
    y[96 + lane] = __shfl_xor_sync(0xffffffffu, x[lane], 5, width);
}
MMB_KERNEL_AS(shuffles_i32, shuffles<int>);
MMB_KERNEL_AS(shuffles_f64, shuffles<double>);
MMB_KERNEL_AS(shuffles_f32, shuffles<float>);

__global__ void votes(unsigned* y, const int* x) {
    const int lane = threadIdx.x;
    y[lane] = __ballot_sync(0xffffffffu, x[lane] > 4);
    y[32 + lane] = __any_sync(0xffffffffu, x[lane] > 8);
    y[64 + lane] = __all_sync(0xffffffffu, x[lane] >= 0);
    y[96 + lane] = __match_any_sync(0xffffffffu, x[lane]);
    int all = 5;
    y[128 + lane] = __match_all_sync(0xffffffffu, 7, &all);
    y[160 + lane] = all;
    y[192 + lane] = __reduce_add_sync(0xffffffffu, x[lane]);
    y[224 + lane] = __reduce_min_sync(0xffffffffu, x[lane]);
    y[256 + lane] = __reduce_max_sync(0xffffffffu, x[lane]);
    y[288 + lane] = __reduce_xor_sync(0xffffffffu, static_cast<unsigned>(x[lane]));
}

__global__ void barriers(int* y, const int* x) {
    y[threadIdx.x] = __syncthreads_count(x[threadIdx.x] % 3 == 0);
    y[64 + threadIdx.x] = __syncthreads_or(x[threadIdx.x] == 63);
    y[128 + threadIdx.x] = __syncthreads_and(x[threadIdx.x] < 64);
}

__global__ void atomics(int* i, unsigned* u, unsigned long long* w, float* f, double* d, __half2* h, const int* x) {
    const int v = x[index()];
    atomicAdd(&i[0], v);
    atomicSub(&i[1], v);
    atomicMin(&i[2], v);
    atomicMax(&i[3], v);
    atomicAnd(&u[0], ~(1u << v % 32));
    atomicOr(&u[1], 1u << v % 32);
    atomicXor(&u[2], static_cast<unsigned>(v));
    atomicInc(&u[3], 9);
    atomicDec(&u[4], 9);
    atomicExch(&u[5], 77);
    atomicCAS(&u[6], 0u, 5u);
    atomicAdd_block(&w[0], 1);
    atomicMax_system(&w[1], static_cast<unsigned long long>(v));
    atomicAdd(&f[0], 0.5f);
    atomicAdd(d, 0.25);
    atomicAdd(h, __floats2half2_rn(1, 2));
}

__global__ void integers(unsigned* y, unsigned long long* w, const unsigned* a, const unsigned* b) {
    const int i = threadIdx.x, n = blockDim.x;
    const unsigned p = a[i], q = b[i];
    y[i] = __popc(p);
    y[n + i] = __clz(static_cast<int>(p));
    y[2 * n + i] = __ffs(static_cast<int>(p));
    y[3 * n + i] = __brev(p);
    y[4 * n + i] = __umulhi(p, q);
    y[5 * n + i] = __byte_perm(p, q, 0x3715);
    y[6 * n + i] = __funnelshift_l(p, q, 11);
    y[7 * n + i] = __funnelshift_r(p, q, 11);
    y[8 * n + i] = static_cast<unsigned>(__mul24(static_cast<int>(p), static_cast<int>(q)));
    y[9 * n + i] = static_cast<unsigned>(__mulhi(static_cast<int>(p), static_cast<int>(q)));
    y[10 * n + i] = static_cast<unsigned>(__dp4a(static_cast<int>(p), static_cast<int>(q), 3));
    w[i] = __umul64hi(static_cast<unsigned long long>(p) << 32 | q, static_cast<unsigned long long>(q) << 32 | p);
    w[n + i] = __brevll(static_cast<unsigned long long>(p) << 32 | q);
}

__global__ void conversions(int* nearest, int* zero, int* down, int* up, unsigned* u, const float* x) {
    const int i = threadIdx.x;
    nearest[i] = __float2int_rn(x[i]);
    zero[i] = __float2int_rz(x[i]);
    down[i] = __float2int_rd(x[i]);
    up[i] = __float2int_ru(x[i]);
    u[i] = __float2uint_rn(x[i]);
}

__global__ void mathematics(double* y, const double* x) {
    const int i = threadIdx.x, n = blockDim.x;
    y[i] = rsqrt(x[i] + 2);
    y[n + i] = erfinv(x[i]);
    y[2 * n + i] = sinpi(3 * x[i]);
    y[3 * n + i] = normcdf(x[i]);
    y[4 * n + i] = min(x[i], 0.25) + max(2, 3) + fmaf(2, 3, 4);
    y[5 * n + i] = rcbrt(x[i]) + __saturatef(static_cast<float>(3 * x[i]));
}

struct Sizes {
    unsigned char a[3];
    float3 b;
    float4 c;
    double2 d;
};
__global__ void vectors(float* y, const float4* x) {
    static_assert(sizeof(float3) == 12 && alignof(float3) == 4 && alignof(float4) == 16 && alignof(double2) == 16 && alignof(uchar4) == 4, "as on a GPU");
    static_assert(sizeof(Sizes) == 48, "as on a GPU");
    const float4 v = __ldg(&x[index()]);
    const int3 whole = make_int3(1, 2, 3);
    __stcs(&y[index()], v.x * whole.x + v.y * whole.y + v.z * whole.z + v.w);
}

__global__ void indices(int* y) {
    const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    y[block * static_cast<int>(blockDim.x * blockDim.y * blockDim.z) + thread] = 100 * block + thread;
}

__global__ void groups(int* y, const int* x) {
    const cg::thread_block block = cg::this_thread_block();
    const auto tile = cg::tiled_partition<8>(block);
    const int i = block.thread_rank(), n = block.size();
    y[i] = cg::reduce(tile, x[i], cg::plus<int>());
    y[n + i] = cg::reduce(tile, x[i], cg::greater<int>());
    y[2 * n + i] = cg::inclusive_scan(tile, x[i]);
    y[3 * n + i] = cg::exclusive_scan(tile, x[i]);
    y[4 * n + i] = tile.shfl_down(x[i], 1) * 100 + tile.meta_group_rank();
    y[5 * n + i] = tile.ballot(x[i] % 2);
    if (x[i] % 2) {
        const auto odd = cg::coalesced_threads();
        y[6 * n + i] = 100 * odd.size() + odd.thread_rank();
    } else {
        y[6 * n + i] = -1;
    }
    const cg::thread_group four = cg::tiled_partition(block, 4);
    four.sync();
    y[7 * n + i] = four.thread_rank();
    block.sync();
}

template <class T, class A, int K>
__global__ void tensor_cores(A* d, const T* a, const T* b) {
    using namespace nvcuda::wmma;
    using Kind = std::conditional_t<K == 8, precision::tf32, T>;
    fragment<matrix_a, 16, 16, K, Kind, row_major> fa;
    fragment<matrix_b, 16, 16, K, Kind, col_major> fb;
    fragment<accumulator, 16, 16, K, A> sum;
    fill_fragment(sum, A(0.5f));
    load_matrix_sync(fa, a, K);
    load_matrix_sync(fb, b, K);
    mma_sync(sum, fa, fb, sum);
    for (auto& x : sum.x) x = x * A(2.0f);
    store_matrix_sync(d, sum, 16, mem_row_major);
}
MMB_KERNEL_AS(tensor_cores_f16, tensor_cores<__half, float, 16>);
MMB_KERNEL_AS(tensor_cores_bf16, tensor_cores<__nv_bfloat16, float, 16>);
MMB_KERNEL_AS(tensor_cores_tf32, tensor_cores<float, float, 8>);

__global__ void waits_for_grid(int* y) {
    cg::this_grid().sync();
    *y = 1;
}
__global__ void traps(int* y) {
    if (y) __trap();
}

MMB_KERNEL(widen_half);
MMB_KERNEL(narrow_half);
MMB_KERNEL(half_arithmetic);
MMB_KERNEL(pair_arithmetic);
MMB_KERNEL(widen_bfloat16);
MMB_KERNEL(narrow_bfloat16);
MMB_KERNEL(votes);
MMB_KERNEL(barriers);
MMB_KERNEL(atomics);
MMB_KERNEL(integers);
MMB_KERNEL(conversions);
MMB_KERNEL(mathematics);
MMB_KERNEL(vectors);
MMB_KERNEL(indices);
MMB_KERNEL(groups);
MMB_KERNEL(waits_for_grid);
MMB_KERNEL(traps);
