// expected: race
__global__ void rowSums(float *y, const float *x, int n) {
    __shared__ float tile[64];
    float sum = 0;
    for (int t = 0; t < n / 64; t++) {
        tile[threadIdx.x] = x[t * 64 + threadIdx.x];  // HERE: the others may still read the last tile
        __syncthreads();
        for (int i = 0; i < 64; i++) sum += tile[i];
    }
    y[threadIdx.x] = sum;
}

int main() {
    float *x, *y;
    cudaMalloc(&x, 256 * sizeof(float));
    cudaMalloc(&y, 256 * sizeof(float));
    cudaMemset(x, 0, 256 * sizeof(float));
    rowSums<<<1, 64>>>(y, x, 256);
    cudaDeviceSynchronize();
    cudaFree(x);
    cudaFree(y);
}
