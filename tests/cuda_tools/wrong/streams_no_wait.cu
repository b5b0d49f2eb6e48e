// expected: host-access-before-copy-ends
#include <stdio.h>
int main() {
    float *host, *device;
    cudaStream_t stream;
    cudaStreamCreate(&stream);
    cudaMallocHost(&host, 1024);
    cudaMalloc(&device, 1024);
    cudaMemset(device, 0, 1024);
    cudaMemcpyAsync(host, device, 1024, cudaMemcpyDeviceToHost, stream);
    printf("%f\n", host[0]);  // HERE: no cudaStreamSynchronize(stream)
    cudaStreamSynchronize(stream);
    cudaStreamDestroy(stream);
    cudaFreeHost(host);
    cudaFree(device);
}
