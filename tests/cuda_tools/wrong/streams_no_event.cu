// expected: stream-race
// The second kernel reads what the first writes, in another stream, and waits for nothing.
#include <cuda_runtime.h>

__global__ void fill(float *x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] = i;
}

__global__ void twice(float *y, const float *x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = 2 * x[i];
}

int main() {
    const int n = 1000;
    float *x, *y;
    cudaStream_t first, second;
    cudaMalloc(&x, n * sizeof(float));
    cudaMalloc(&y, n * sizeof(float));
    cudaStreamCreate(&first);
    cudaStreamCreate(&second);
    fill<<<4, 256, 0, first>>>(x, n);
    twice<<<4, 256, 0, second>>>(y, x, n);  // HERE
    cudaDeviceSynchronize();
    cudaStreamDestroy(first);
    cudaStreamDestroy(second);
    cudaFree(x);
    cudaFree(y);
}
