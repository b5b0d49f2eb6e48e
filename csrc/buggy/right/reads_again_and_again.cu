// Loops that read the same places very often, and end: by a count in a register, in memory, or both.
//
// run: <<<1, 64>>>(y[64], x[64], int rounds[64]=0)
// result: y == 20000 * x
#include "platform.cuh"

__global__ void reads_again_and_again(float* y, const float* x, int* rounds) {
    const int i = threadIdx.x;
    double sum = 0;
    for (int round = 0; round < 20000; ++round) {  // the fence: read it again
        sum += x[i];
        __threadfence_block();
    }
    while (rounds[i] < 5000) {  // the same places, and other values
        __threadfence_block();
        rounds[i] = rounds[i] + (rounds[i / 32 * 32 + i % 32] >= 0);
    }
    y[i] = static_cast<float>(sum);
}
MMB_KERNEL(reads_again_and_again);
