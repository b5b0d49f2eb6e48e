// Local variables that get their value in one branch and are used in another that only looks alike:
// the compiler takes them for unset, and no run uses them unset.
#include <stdio.h>

#define SECTION 64
__global__ void scan(const float* x, float* y, int n) {  // Kogge and Stone's
    __shared__ float xy[SECTION];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    xy[threadIdx.x] = i < n ? x[i] : 0.0f;
    for (unsigned stride = 1; stride < blockDim.x; stride *= 2) {
        __syncthreads();
        float temp;
        if (threadIdx.x >= stride) temp = xy[threadIdx.x] + xy[threadIdx.x - stride];
        __syncthreads();
        if (threadIdx.x >= stride) xy[threadIdx.x] = temp;
    }
    if (i < n) y[i] = xy[threadIdx.x];
}
#define T 8
__global__ void stencil(const float* in, float* out, int n) {  // planes pass through registers
    int j = blockIdx.y * (T - 2) + threadIdx.y - 1, k = blockIdx.x * (T - 2) + threadIdx.x - 1;
    __shared__ float current_s[T][T];
    float previous, current, next;
    bool inside = j >= 0 && j < n && k >= 0 && k < n;
    if (inside) {
        previous = in[j * n + k];
        current_s[threadIdx.y][threadIdx.x] = current = in[n * n + j * n + k];
    }
    for (int i = 1; i < n - 1; ++i) {
        if (j >= 0 && j < n && k >= 0 && k < n) next = in[(i + 1) * n * n + j * n + k];
        __syncthreads();
        if (j >= 1 && j < n - 1 && k >= 1 && k < n - 1 && threadIdx.y >= 1 && threadIdx.y < T - 1 && threadIdx.x >= 1 && threadIdx.x < T - 1)
            out[i * n * n + j * n + k] = previous + next - 2 * current + current_s[threadIdx.y][threadIdx.x - 1] + current_s[threadIdx.y + 1][threadIdx.x];
        __syncthreads();
        previous = current;
        current = next;
        current_s[threadIdx.y][threadIdx.x] = next;
    }
}

int main() {
    const int m = 50, n = 9, size = n * n * n;
    float x[size], y[size], sum = 0, *dx, *dy;
    int ok = 1;
    for (int i = 0; i < size; i++) x[i] = i % 7;
    cudaMalloc(&dx, sizeof x);
    cudaMalloc(&dy, sizeof y);
    cudaMemcpy(dx, x, sizeof x, cudaMemcpyHostToDevice);
    scan<<<1, SECTION>>>(dx, dy, m);
    cudaMemcpy(y, dy, m * sizeof(float), cudaMemcpyDeviceToHost);
    for (int i = 0; i < m; i++) ok &= y[i] == (sum += x[i]);
    cudaMemset(dy, 0, sizeof y);
    stencil<<<dim3(2, 2), dim3(T, T)>>>(dx, dy, n);
    cudaMemcpy(y, dy, sizeof y, cudaMemcpyDeviceToHost);
    for (int i = 1; i < n - 1; i++)
        for (int j = 1; j < n - 1; j++)
            for (int k = 1; k < n - 1; k++) {
                const float* p = x + i * n * n + j * n + k;
                ok &= y[p - x] == p[-n * n] + p[n * n] - 2 * p[0] + p[-1] + p[n];
            }
    cudaFree(dx);
    cudaFree(dy);
    printf(ok ? "PASSED\n" : "FAILED\n");
    return !ok;
}
