// The mbarrier counts 32 arrivals a phase, which 16 missing bytes keep open, and 65 come.
//
// run: <<<1, 64, 16>>>(y[64])
#include "hopper.cuh"

__global__ void one_arrival_too_many(float* y) {
    MMB_DYNAMIC_SHARED(uint64_t, full);
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(full, 32);
        ptx::mbarrier_arrive_expect(full, 16);  // bytes that never come, so the phase stays open
    }
    __syncthreads();
    ptx::mbarrier_arrive(full);  // expect: mbarrier
    y[threadIdx.x] = 1;
}
MMB_KERNEL(one_arrival_too_many);
