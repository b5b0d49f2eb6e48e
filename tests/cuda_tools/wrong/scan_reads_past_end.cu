// expected: out-of-bounds
__global__ void scan(float *y, const float *x, int n) {
    __shared__ float temp[64];
    temp[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = temp[threadIdx.x] + temp[threadIdx.x + 1];  // HERE: the last thread reads temp[64]
}

int main() {
    float *x, *y;
    cudaMalloc(&x, 256 * sizeof(float));
    cudaMalloc(&y, 256 * sizeof(float));
    cudaMemset(x, 0, 256 * sizeof(float));
    scan<<<1, 64>>>(y, x, 64);
    cudaDeviceSynchronize();
    cudaFree(x);
    cudaFree(y);
}
