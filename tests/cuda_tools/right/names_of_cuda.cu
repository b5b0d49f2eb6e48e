// Names of CUDA's that programs use for their own, and small things of samples: each is legal for nvcc.
#include <nvtx3/nvToolsExt.h>
#include <stdio.h>

struct Shape {
    dim3 gridDim, blockDim;
};
__global__ void fill(unsigned* out, unsigned value) {
    __builtin_assume(value > 0);
    out[blockIdx.x * blockDim.x + threadIdx.x] = value + gridDim.x;
}
__global__ void parts(unsigned* out) {
    out[0] = __vadd4(0x01ff0180, 0x02020280);
    out[1] = __vsub2(0x00010000, 0x00020001);
    out[2] = __vmaxs4(0x80017fff, 0x01020304);
    out[3] = __vminu2(0xffff0001, 0x00010002);
    out[4] = __vabsdiffu4(0x00ff1020, 0xff002010);
    out[5] = __vcmpeq2(0x00010002, 0x00010003);
}
void launch(unsigned* out, dim3 gridDim, dim3 blockDim) { fill<<<gridDim, blockDim, 0, cudaStreamDefault>>>(out, 5); }

int main() {
    unsigned *d, h[64];
    int ok = 1, pageable = -1, blocks = -1;
    cudaMalloc(&d, sizeof h);
    dim3 gridDim(4), blockDim(16);
    Shape shape{gridDim, blockDim};
    cudaFuncSetAttribute(fill, cudaFuncAttributePreferredSharedMemoryCarveout, cudaSharedmemCarveoutMaxShared);
    nvtxRangePush("fill");
    launch(d, shape.gridDim, shape.blockDim);
    nvtxRangePop();
    cudaMemcpy(h, d, sizeof h, cudaMemcpyDeviceToHost);
    for (unsigned x : h) ok &= x == 9;
    const unsigned wanted[] = {0x03010300, 0xffffffff, 0x01027f04, 0x00010001, 0xffff1010, 0xffff0000};
    parts<<<1, 1>>>(d);
    cudaMemcpy(h, d, sizeof wanted, cudaMemcpyDeviceToHost);
    for (int i = 0; i < 6; i++) ok &= h[i] == wanted[i];
    cudaDeviceGetAttribute(&pageable, cudaDevAttrPageableMemoryAccess, 0);
    cudaDeviceGetAttribute(&blocks, cudaDevAttrMaxBlocksPerMultiprocessor, 0);
    ok &= pageable == 0 && blocks == 32;
    cudaFree(d);
    printf(ok ? "PASSED\n" : "FAILED\n");
    return !ok;
}
