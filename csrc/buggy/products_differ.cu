// The threads of a warpgroup issue a wgmma together, but the last warp names another operand.
//
// run: <<<1, 128, 16384>>>(y[128])
#include "wgmma.cuh"

__global__ void products_differ(float* y) {
    MMB_DYNAMIC_SHARED(__nv_bfloat16, operands);  // A and B: 64 rows of 128 bytes each
    for (int i = threadIdx.x; i < 8192; i += 128) operands[i] = __float2bfloat16(1);
    ptx::fence_proxy_async();
    __syncthreads();
    const int step = threadIdx.x < 96 ? 0 : 2;  // 32 bytes on
    float d[32] = {};
    ptx::wgmma_fence();
    ptx::wgmma(d, ptx::wgmma_operand(operands) + step, ptx::wgmma_operand(operands + 4096), false, __nv_bfloat16());  // expect: wgmma
    ptx::wgmma_commit();
    ptx::wgmma_wait<0>();
    y[threadIdx.x] = d[0];
}
MMB_KERNEL(products_differ);
