// expected: host-access-before-sync
#include <stdio.h>
__managed__ int total = 0;
int untouched = 1;
__global__ void count(int n) {
    if (threadIdx.x < n) atomicAdd(&total, 1);
}
int main() {
    total = untouched;
    count<<<1, 64>>>(50);
    untouched = 2;
    printf("%d\n", total);  // HERE: no cudaDeviceSynchronize()
    cudaDeviceSynchronize();
    printf("%d\n", total);
}
