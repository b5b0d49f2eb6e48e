// expected: stream-race
// The second kernel reads a __device__ variable that the first changes in another stream.
#include <cuda_runtime.h>

__device__ float scale;
__device__ int calls;

__global__ void measure(const float *x) {
    if (threadIdx.x == 0) scale = x[0] > 1 ? 1 / x[0] : 1;
    if (threadIdx.x == 0) atomicAdd(&calls, 1);
}

__global__ void apply(float *x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] *= scale;
    if (i == 0) atomicAdd(&calls, 1);
}

int main() {
    const int n = 1000;
    float *x, *y;
    cudaStream_t first, second;
    cudaMalloc(&x, n * sizeof(float));
    cudaMalloc(&y, n * sizeof(float));
    cudaMemset(x, 0, n * sizeof(float));
    cudaMemset(y, 0, n * sizeof(float));
    cudaStreamCreate(&first);
    cudaStreamCreate(&second);
    measure<<<1, 32, 0, first>>>(x);
    apply<<<4, 256, 0, second>>>(y, n);  // HERE
    cudaDeviceSynchronize();
    cudaStreamDestroy(first);
    cudaStreamDestroy(second);
    cudaFree(x);
    cudaFree(y);
}
