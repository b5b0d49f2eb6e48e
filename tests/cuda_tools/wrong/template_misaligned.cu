// expected: misaligned
template <typename T>
__global__ void copy(float *y, const float *x, int n) {
    int i = threadIdx.x;
    *(T *)(y + 4 * i) = *(const T *)(x + 4 * i + 1);  // HERE: float4 at an odd address
}

int main() {
    float *x, *y;
    cudaMalloc(&x, 256 * sizeof(float));
    cudaMalloc(&y, 256 * sizeof(float));
    cudaMemset(x, 0, 256 * sizeof(float));
    copy<float4><<<1, 32>>>(y, x, 32);
    cudaDeviceSynchronize();
    cudaFree(x);
    cudaFree(y);
}
