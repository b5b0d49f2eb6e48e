// expected: out-of-bounds
__global__ void add(float *y, const float *x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = x[i] + 1;  // HERE: no if (i < n)
}

int main() {
    float *x, *y;
    cudaMalloc(&x, 250 * sizeof(float));
    cudaMalloc(&y, 250 * sizeof(float));
    cudaMemset(x, 0, 250 * sizeof(float));
    add<<<4, 64>>>(y, x, 250);
    cudaDeviceSynchronize();
    cudaFree(x);
    cudaFree(y);
}
