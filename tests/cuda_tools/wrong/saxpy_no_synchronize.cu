// expected: host-access-before-sync
#include <stdio.h>
__global__ void twice(float *x, int n) {
    int i = threadIdx.x;
    if (i < n) x[i] *= 2;
}
int main() {
    float *x;
    cudaMallocManaged(&x, 32 * sizeof(float));
    for (int i = 0; i < 32; i++) x[i] = i;
    twice<<<1, 32>>>(x, 32);
    printf("%f\n", x[5]);  // HERE: no cudaDeviceSynchronize()
    cudaDeviceSynchronize();
    cudaFree(x);
}
