// Copies and kernels in several streams, timed with events.
#include <cstdio>
#include <cstdlib>

#define gpuErrchk(ans) { gpuAssert((ans), __FILE__, __LINE__); }
inline void gpuAssert(cudaError_t code, const char *file, int line, bool abort = true) {
    if (code != cudaSuccess) {
        fprintf(stderr, "GPUassert: %s %s %d\n", cudaGetErrorString(code), file, line);
        if (abort) exit(code);
    }
}

__global__ void square(float *data, int offset, int count) {
    int i = offset + blockIdx.x * blockDim.x + threadIdx.x;
    if (i < offset + count) data[i] = data[i] * data[i];
}

int main() {
    const int streams = 4, n = 4 * 4000, piece = n / streams;
    float *host, *device;
    gpuErrchk(cudaHostAlloc(&host, n * sizeof(float), cudaHostAllocDefault));
    gpuErrchk(cudaMalloc(&device, n * sizeof(float)));
    for (int i = 0; i < n; i++) host[i] = i % 100;

    cudaStream_t stream[streams];
    for (int s = 0; s < streams; s++) gpuErrchk(cudaStreamCreate(&stream[s]));
    cudaEvent_t start, stop;
    gpuErrchk(cudaEventCreate(&start));
    gpuErrchk(cudaEventCreate(&stop));

    gpuErrchk(cudaEventRecord(start, 0));
    for (int s = 0; s < streams; s++) {
        int offset = s * piece;
        gpuErrchk(cudaMemcpyAsync(&device[offset], &host[offset], piece * sizeof(float), cudaMemcpyHostToDevice, stream[s]));
        square<<<(piece + 255) / 256, 256, 0, stream[s]>>>(device, offset, piece);
        gpuErrchk(cudaMemcpyAsync(&host[offset], &device[offset], piece * sizeof(float), cudaMemcpyDeviceToHost, stream[s]));
    }
    gpuErrchk(cudaEventRecord(stop, 0));
    gpuErrchk(cudaEventSynchronize(stop));
    float milliseconds = 0;
    gpuErrchk(cudaEventElapsedTime(&milliseconds, start, stop));
    gpuErrchk(cudaDeviceSynchronize());

    int wrong = 0;
    for (int i = 0; i < n; i++) wrong += host[i] != (float)(i % 100) * (i % 100);
    printf("took %s, %s\n", milliseconds > 0 ? "some time" : "no time", wrong ? "FAILED" : "PASSED");

    for (int s = 0; s < streams; s++) gpuErrchk(cudaStreamDestroy(stream[s]));
    gpuErrchk(cudaEventDestroy(start));
    gpuErrchk(cudaEventDestroy(stop));
    gpuErrchk(cudaFree(device));
    gpuErrchk(cudaFreeHost(host));
    return wrong;
}
