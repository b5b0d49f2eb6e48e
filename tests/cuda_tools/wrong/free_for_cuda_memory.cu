// expected: invalid-free
int main() {
    float *x;
    cudaMallocHost(&x, 400);
    cudaFree(x);  // HERE: cudaFreeHost
    cudaFreeHost(x);
}
