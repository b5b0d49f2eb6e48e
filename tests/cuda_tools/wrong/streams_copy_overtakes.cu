// expected: stream-race
// The result is copied back in a stream that does not wait for the kernel.
#include <cuda_runtime.h>

__global__ void fill(float *x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] = i;
}

int main() {
    const int n = 1000;
    float *x, *host;
    cudaStream_t work, copies;
    cudaMalloc(&x, n * sizeof(float));
    cudaMallocHost(&host, n * sizeof(float));
    cudaStreamCreate(&work);
    cudaStreamCreateWithFlags(&copies, cudaStreamNonBlocking);
    fill<<<4, 256, 0, work>>>(x, n);
    cudaMemcpyAsync(host, x, n * sizeof(float), cudaMemcpyDeviceToHost, copies);  // HERE
    cudaDeviceSynchronize();
    cudaStreamDestroy(work);
    cudaStreamDestroy(copies);
    cudaFree(x);
    cudaFreeHost(host);
}
