// expected: cp.async
#include <cuda_pipeline.h>
#include <stdio.h>
__global__ void turn(int *y, const int *x) {
    __shared__ int s[64];
    s[threadIdx.x] = 2 * x[63 - threadIdx.x];
    __pipeline_memcpy_async(&y[threadIdx.x], &s[threadIdx.x], 4);  // HERE: it copies to shared memory only
    __pipeline_commit();
    __pipeline_wait_prior(0);
}
int main() {
    int h[64] = {}, *x, *y;
    cudaMalloc(&x, sizeof h);
    cudaMalloc(&y, sizeof h);
    cudaMemcpy(x, h, sizeof h, cudaMemcpyHostToDevice);
    turn<<<1, 64>>>(y, x);
    cudaDeviceSynchronize();
    cudaFree(x);
    cudaFree(y);
}
