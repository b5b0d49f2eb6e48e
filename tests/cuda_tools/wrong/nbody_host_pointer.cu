// expected: host-pointer
#include <stdlib.h>
__global__ void move(float4 *bodies) { bodies[threadIdx.x].x += 1; }
int main() {
    float4 *bodies = (float4 *)malloc(64 * sizeof(float4));
    move<<<1, 64>>>(bodies);  // HERE: memory of the host
    cudaDeviceSynchronize();
    free(bodies);
}
