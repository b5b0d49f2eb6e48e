// 2048 threads in a block; 1024 are the most. (There is no line: the launch is refused.)
//
// run: <<<1, (64, 32)>>>(y[2048])
// expect nowhere: launch
#include "platform.cuh"

__global__ void too_many_threads(float* y) { y[threadIdx.y * 64 + threadIdx.x] = 1; }
MMB_KERNEL(too_many_threads);
