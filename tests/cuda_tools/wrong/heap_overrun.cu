// expected: out-of-bounds
// Each thread takes memory in the kernel, and writes one element more.
#include <cstdio>

__global__ void ramp(int* out, int n) {
    int* mine = (int*)malloc(n * sizeof(int));
    for (int i = 0; i <= n; i++) mine[i] = i;  // HERE
    out[threadIdx.x] = mine[n - 1];
    free(mine);
}

int main() {
    int* out;
    cudaMallocManaged(&out, 4 * sizeof(int));
    ramp<<<1, 4>>>(out, 5);
    cudaDeviceSynchronize();
    printf("%d\n", out[3]);
    cudaFree(out);
}
