// expected: barrier-divergence
__global__ void reduce(float *y, const float *x, int n) {
    extern __shared__ float s[];
    s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    for (int k = blockDim.x / 2; k > 0; k /= 2) {
        if (threadIdx.x < k) {
            s[threadIdx.x] += s[threadIdx.x + k];
            __syncthreads();  // HERE: only the first k threads come here
        }
    }
    if (threadIdx.x == 0) y[0] = s[0];
}

int main() {
    float *x, *y;
    cudaMalloc(&x, 256 * sizeof(float));
    cudaMalloc(&y, 256 * sizeof(float));
    cudaMemset(x, 0, 256 * sizeof(float));
    reduce<<<1, 128, 128 * sizeof(float)>>>(y, x, 128);
    cudaDeviceSynchronize();
    cudaFree(x);
    cudaFree(y);
}
