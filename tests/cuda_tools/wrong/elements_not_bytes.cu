// expected: copy-past-allocation
int main() {
    float host[100] = {1}, *device;
    cudaMalloc(&device, 100);  // and not 100 * sizeof(float)
    cudaMemcpy(device, host, sizeof(host), cudaMemcpyHostToDevice);  // HERE
    cudaFree(device);
}
