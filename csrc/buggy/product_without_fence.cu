// wgmma without wgmma_fence: the zeros of d may not have arrived in the registers when it reads them.
//
// run: <<<1, 128, 16384>>>(y[128])
#include "wgmma.cuh"

__global__ void product_without_fence(float* y) {
    MMB_DYNAMIC_SHARED(__nv_bfloat16, operands);  // A and B: 64 rows of 128 bytes each
    for (int i = threadIdx.x; i < 8192; i += 128) operands[i] = __float2bfloat16(1);
    ptx::fence_proxy_async();
    __syncthreads();
    float d[32] = {};
    ptx::wgmma(d, ptx::wgmma_operand(operands), ptx::wgmma_operand(operands + 4096), true, __nv_bfloat16());  // expect: missing-fence
    ptx::wgmma_commit();
    ptx::wgmma_wait<0>();
    y[threadIdx.x] = d[0];
}
MMB_KERNEL(product_without_fence);
