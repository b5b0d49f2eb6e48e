// expected: race
__global__ void dot(float *y, const float *x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i == 0) y[0] = 0;
    y[1] += x[i];  // HERE: every thread adds to one place, without atomicAdd
}

int main() {
    float *x, *y;
    cudaMalloc(&x, 256 * sizeof(float));
    cudaMalloc(&y, 256 * sizeof(float));
    cudaMemset(x, 0, 256 * sizeof(float));
    cudaMemset(y, 0, 8); dot<<<2, 64>>>(y, x, 128);
    cudaDeviceSynchronize();
    cudaFree(x);
    cudaFree(y);
}
