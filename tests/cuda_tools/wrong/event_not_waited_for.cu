// expected: event-not-finished
__global__ void work(int *x) { x[threadIdx.x] = 1; }
int main() {
    int *x;
    cudaEvent_t start, stop;
    cudaEventCreate(&start);
    cudaEventCreate(&stop);
    cudaMalloc(&x, 128);
    cudaEventRecord(start);
    work<<<1, 32>>>(x);
    cudaEventRecord(stop);
    float ms;
    cudaEventElapsedTime(&ms, start, stop);  // HERE: no cudaEventSynchronize(stop)
    cudaEventDestroy(start);
    cudaEventDestroy(stop);
    cudaFree(x);
}
