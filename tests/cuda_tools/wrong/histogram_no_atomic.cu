// expected: race
__global__ void histogram(float *y, const float *x, int n) {
    __shared__ int bins[8];
    if (threadIdx.x < 8) bins[threadIdx.x] = 0;
    __syncthreads();
    bins[threadIdx.x % 8]++;  // HERE: several threads count in one bin
    __syncthreads();
    if (threadIdx.x < 8) y[threadIdx.x] = bins[threadIdx.x] + x[0] * n;
}

int main() {
    float *x, *y;
    cudaMalloc(&x, 256 * sizeof(float));
    cudaMalloc(&y, 256 * sizeof(float));
    cudaMemset(x, 0, 256 * sizeof(float));
    histogram<<<1, 64>>>(y, x, 0);
    cudaDeviceSynchronize();
    cudaFree(x);
    cudaFree(y);
}
