// expected: use-after-free
__global__ void one(int *x) { x[threadIdx.x] = 1; }
int main() {
    int *x;
    cudaMalloc(&x, 40);
    cudaFree(x);
    one<<<1, 10>>>(x);  // HERE
    cudaDeviceSynchronize();
}
