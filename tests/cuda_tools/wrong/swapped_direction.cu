// expected: wrong-direction
int main() {
    float host[8] = {1}, *device;
    cudaMalloc(&device, sizeof(host));
    cudaMemcpy(device, host, sizeof(host), cudaMemcpyDeviceToHost);  // HERE: it is host to device
    cudaFree(device);
}
