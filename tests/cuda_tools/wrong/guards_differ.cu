// expected: unset-variable
// The value is loaded under one condition and stored under a wider one.
#include <cstdio>

__global__ void twice(const int* in, int* out, int n) {
    int value;
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n - 1) value = 2 * in[i];
    __syncthreads();
    if (i < n) out[i] = value;  // HERE
}

int main() {
    const int n = 50;
    int *in, *out;
    cudaMallocManaged(&in, n * sizeof(int));
    cudaMallocManaged(&out, n * sizeof(int));
    for (int i = 0; i < n; i++) in[i] = i;
    twice<<<2, 32>>>(in, out, n);
    cudaDeviceSynchronize();
    printf("%d\n", out[n - 1]);
    cudaFree(in);
    cudaFree(out);
}
