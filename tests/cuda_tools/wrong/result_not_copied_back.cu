// expected: never-read
// The kernel's result stays on the device, and the program finds zeros.
#include <cstdio>

__global__ void twice(const float* x, float* y, int n) {
    int i = threadIdx.x;
    if (i < n) y[i] = 2 * x[i];
}

int main() {
    const int n = 64;
    float x[n], y[n] = {}, *dx, *dy;
    for (int i = 0; i < n; i++) x[i] = i;
    cudaMalloc(&dx, sizeof x);
    cudaMalloc(&dy, sizeof y);  // HERE
    cudaMemcpy(dx, x, sizeof x, cudaMemcpyHostToDevice);
    twice<<<1, n>>>(dx, dy, n);
    cudaDeviceSynchronize();
    for (int i = 0; i < n; i++)
        if (y[i] != 2 * x[i]) {
            printf("FAILED at %d\n", i);
            return 1;
        }
    cudaFree(dx);
    cudaFree(dy);
}
