// expected: null-pointer
__global__ void reduce(float *y, const float *x, int n) {
    extern __shared__ float s[];
    s[threadIdx.x] = x[threadIdx.x];  // HERE: the launch asked for no shared memory
    __syncthreads();
    y[threadIdx.x] = s[n - 1 - threadIdx.x];
}

int main() {
    float *x, *y;
    cudaMalloc(&x, 256 * sizeof(float));
    cudaMalloc(&y, 256 * sizeof(float));
    cudaMemset(x, 0, 256 * sizeof(float));
    reduce<<<1, 128>>>(y, x, 128);
    cudaDeviceSynchronize();
    cudaFree(x);
    cudaFree(y);
}
