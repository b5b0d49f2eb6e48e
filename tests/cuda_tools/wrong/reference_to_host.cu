// expected: host-pointer
// A reference parameter is an address, and this one is the host's.
#include <cstdio>

struct Options {
    float factor;
    int n;
};
__global__ void scale(float* x, const Options& o) {
    if (threadIdx.x < o.n) x[threadIdx.x] *= o.factor;
}

int main() {
    Options options{2.0f, 32};
    float* x;
    cudaMallocManaged(&x, 32 * sizeof(float));
    for (int i = 0; i < 32; i++) x[i] = i;
    scale<<<1, 32>>>(x, options);  // HERE
    cudaDeviceSynchronize();
    printf("%f\n", x[31]);
    cudaFree(x);
}
