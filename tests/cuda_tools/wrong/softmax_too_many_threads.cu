// expected: invalid-launch
__global__ void softmax(float *x) { x[threadIdx.x] = 1; }
int main() {
    float *x;
    cudaMalloc(&x, 4096 * sizeof(float));
    softmax<<<1, 2048>>>(x);  // HERE: 1024 is the most
    cudaFree(x);
}
