// Variables of the device, several in one declaration; managed ones, used after the wait.
#include <stdio.h>
template <class T, int N> struct Pack { T v[N]; };
__device__ float twice(float x) { return 2 * x; }
__device__ int a, b = 7, *nowhere = nullptr;
__constant__ float x[4], y[4] = {10, 20, 30, 40};
__constant__ alignas(16) float z[4];
__device__ Pack<int, 3> pack, packs[2] = {{1, 2, 3}, {4, 5, 6}};
__device__ float (*chosen)(float) = twice;
__managed__ int m = 1, table[2000];
__device__ __managed__ int other = 5;
__global__ void k(float *out) {
    int i = threadIdx.x;
    a = 5;
    out[i] = x[i] + y[i] + z[i] + b + pack.v[0] + packs[1].v[2];
    table[1000 + i] = i;
    if (i == 0) m += other;
}
int main() {
    float one[4] = {1, 2, 3, 4}, r[4], *out;
    float (*function)(float);
    int nine = 9, from_a;
    Pack<int, 3> p = {{100, 0, 0}};
    cudaMemcpyToSymbol(x, one, sizeof one), cudaMemcpyToSymbol(y, one, 4), cudaMemcpyToSymbol(z, one, sizeof one);
    cudaMemcpyToSymbol(b, &nine, 4), cudaMemcpyToSymbol(pack, &p, sizeof p);
    cudaMemcpyFromSymbol(&function, chosen, sizeof function);
    cudaMemLocation device = {cudaMemLocationTypeDevice, 0};
    cudaMemPrefetchAsync(table, sizeof table, device, 0, 0), cudaMemAdvise(&m, 4, cudaMemAdviseSetReadMostly, device);
    cudaMalloc(&out, sizeof r);
    m = 2, other += 1;
    k<<<1, 4>>>(out);
    cudaMemcpy(r, out, sizeof r, cudaMemcpyDeviceToHost);
    cudaMemcpyFromSymbol(&from_a, a, 4);
    bool right = from_a == 5 && r[0] == 1 + 1 + 1 + 9 + 100 + 6 && r[3] == 4 + 40 + 4 + 9 + 100 + 6;
    right &= m == 2 + 6 && table[1003] == 3 && other == 6 && function == twice;
    cudaFree(out);
    printf(right ? "PASSED\n" : "FAILED\n");
    return !right;
}
