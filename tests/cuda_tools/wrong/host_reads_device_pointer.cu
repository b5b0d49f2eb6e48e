// expected: host-access
#include <stdio.h>
int main() {
    float *device;
    cudaMalloc(&device, 400);
    cudaMemset(device, 0, 400);
    printf("%f\n", device[3]);  // HERE: the pointer means nothing to the host
    cudaFree(device);
}
