// expected: leak
int main() {
    int *x;
    cudaMalloc(&x, 40);  // HERE
    cudaMemset(x, 0, 40);
}
