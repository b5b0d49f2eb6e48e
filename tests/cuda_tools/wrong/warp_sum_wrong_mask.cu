// expected: warp-mask
__global__ void sum(float *y, const float *x, int n) {
    float v = x[threadIdx.x];
    if (threadIdx.x < 16)
        for (int k = 16; k > 0; k /= 2)
            v += __shfl_down_sync(0xffff0000, v, k);  // HERE: the mask leaves these lanes out
    y[threadIdx.x] = v;
}

int main() {
    float *x, *y;
    cudaMalloc(&x, 256 * sizeof(float));
    cudaMalloc(&y, 256 * sizeof(float));
    cudaMemset(x, 0, 256 * sizeof(float));
    sum<<<1, 32>>>(y, x, 32);
    cudaDeviceSynchronize();
    cudaFree(x);
    cudaFree(y);
}
