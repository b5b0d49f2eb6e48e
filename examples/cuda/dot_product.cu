// Dot product: a block sums in shared memory, and adds its part with one atomic.
#include "cuda_runtime.h"
#include "device_launch_parameters.h"

#include <stdio.h>

const int N = 33 * 1024;
const int threadsPerBlock = 256;

__device__ float result;  // 0 at the start of the program

__global__ void dot(const float *a, const float *b) {
    __shared__ float cache[threadsPerBlock];
    int tid = threadIdx.x + blockIdx.x * blockDim.x;
    int cacheIndex = threadIdx.x;

    float temp = 0;
    while (tid < N) {
        temp += a[tid] * b[tid];
        tid += blockDim.x * gridDim.x;
    }
    cache[cacheIndex] = temp;
    __syncthreads();

    int i = blockDim.x / 2;
    while (i != 0) {
        if (cacheIndex < i) cache[cacheIndex] += cache[cacheIndex + i];
        __syncthreads();
        i /= 2;
    }
    if (cacheIndex == 0) atomicAdd(&result, cache[0]);
}

int main(void) {
    static float a[N], b[N];
    for (int i = 0; i < N; i++) {
        a[i] = i % 8;
        b[i] = 2;
    }
    float *dev_a, *dev_b, c;
    cudaMalloc((void **)&dev_a, N * sizeof(float));
    cudaMalloc((void **)&dev_b, N * sizeof(float));
    cudaMemcpy(dev_a, a, N * sizeof(float), cudaMemcpyHostToDevice);
    cudaMemcpy(dev_b, b, N * sizeof(float), cudaMemcpyHostToDevice);
    dot<<<16, threadsPerBlock>>>(dev_a, dev_b);
    cudaMemcpyFromSymbol(&c, result, sizeof(float));
    printf("Does GPU value %.6g = %.6g?\n", c, 7.0f * N);
    cudaFree(dev_a);
    cudaFree(dev_b);
    return c == 7.0f * N ? 0 : 1;
}
