// Many threads write one flag, all the same value: whoever comes last, it is 1.
//
// run: <<<2, 64>>>(int found[1]=0, int x[128])
// result: found == 1
#include "platform.cuh"

__global__ void same_value(int* found, const int* x) {
    if (x[blockIdx.x * 64 + threadIdx.x] % 2 == 0) *found = 1;
}
MMB_KERNEL(same_value);
