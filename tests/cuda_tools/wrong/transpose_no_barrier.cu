// expected: race
__global__ void transpose(float *y, const float *x, int n) {
    __shared__ float tile[16][16];
    tile[threadIdx.y][threadIdx.x] = x[threadIdx.y * 16 + threadIdx.x];
    y[threadIdx.y * n + threadIdx.x] = tile[threadIdx.x][threadIdx.y];  // HERE: no __syncthreads()
}

int main() {
    float *x, *y;
    cudaMalloc(&x, 256 * sizeof(float));
    cudaMalloc(&y, 256 * sizeof(float));
    cudaMemset(x, 0, 256 * sizeof(float));
    transpose<<<1, dim3(16, 16)>>>(y, x, 16);
    cudaDeviceSynchronize();
    cudaFree(x);
    cudaFree(y);
}
