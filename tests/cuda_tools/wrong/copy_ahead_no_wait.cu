// expected: missing-wait
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <stdio.h>
__global__ void turn(int *y, const int *x) {
    auto block = cooperative_groups::this_thread_block();
    __shared__ int s[64];
    cooperative_groups::memcpy_async(block, s, x, sizeof s);
    __syncthreads();
    y[threadIdx.x] = s[63 - threadIdx.x];  // HERE: no cooperative_groups::wait(block)
    cooperative_groups::wait(block);
}
int main() {
    int h[64] = {}, *x, *y;
    cudaMalloc(&x, sizeof h);
    cudaMalloc(&y, sizeof h);
    cudaMemcpy(x, h, sizeof h, cudaMemcpyHostToDevice);
    turn<<<1, 64>>>(y, x);
    cudaMemcpy(h, y, sizeof h, cudaMemcpyDeviceToHost);
    printf("%d\n", h[0]);
    cudaFree(x);
    cudaFree(y);
}
