// An mbarrier that nobody has initialised.
//
// run: <<<1, 32, 16>>>(y[32])
#include "hopper.cuh"

__global__ void barrier_never_set_up(float* y) {
    MMB_DYNAMIC_SHARED(uint64_t, full);
    ptx::mbarrier_arrive(full);  // expect: mbarrier
    ptx::mbarrier_wait(full, 0);
    y[threadIdx.x] = 1;
}
MMB_KERNEL(barrier_never_set_up);
