// expected: double-free
int main() {
    int *x;
    cudaMalloc(&x, 40);
    cudaFree(x);
    cudaFree(x);  // HERE
}
