// expected: out-of-bounds
__constant__ float mask[3];
__global__ void convolve(float *y, const float *x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float sum = 0;
    for (int k = -1; k <= 1; k++) sum += mask[k + 1] * x[i + k];  // HERE: x[-1] and x[n]
    y[i] = sum;
}

int main() {
    float *x, *y;
    cudaMalloc(&x, 256 * sizeof(float));
    cudaMalloc(&y, 256 * sizeof(float));
    cudaMemset(x, 0, 256 * sizeof(float));
    convolve<<<2, 128>>>(y, x, 256);
    cudaDeviceSynchronize();
    cudaFree(x);
    cudaFree(y);
}
