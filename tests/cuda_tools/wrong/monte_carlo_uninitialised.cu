// expected: uninitialised
__global__ void count(float *y, const float *x, int n) {
    if (x[threadIdx.x] >= 0) atomicAdd(y, 1.0f);  // HERE: nobody has set y[0] to 0
}

int main() {
    float *x, *y;
    cudaMalloc(&x, 256 * sizeof(float));
    cudaMalloc(&y, 256 * sizeof(float));
    cudaMemset(x, 0, 256 * sizeof(float));
    count<<<1, 64>>>(y, x, 64);
    cudaDeviceSynchronize();
    cudaFree(x);
    cudaFree(y);
}
