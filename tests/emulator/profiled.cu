// Accesses whose cost is known; test_profile.py has the numbers.
#include "hopper.cuh"

__global__ void columns_of_a_tile(float* y, const float* x) {
    __shared__ float tile[32][32];
    tile[threadIdx.y][threadIdx.x] = x[threadIdx.y * 32 + threadIdx.x];  // rows
    __syncthreads();
    y[threadIdx.y * 32 + threadIdx.x] = tile[threadIdx.x][threadIdx.y];  // columns
}
__global__ void columns_of_a_padded_tile(float* y, const float* x) {
    __shared__ float tile[32][33];
    tile[threadIdx.y][threadIdx.x] = x[threadIdx.y * 32 + threadIdx.x];  // rows
    __syncthreads();
    y[threadIdx.y * 32 + threadIdx.x] = tile[threadIdx.x][threadIdx.y];  // columns
}
__global__ void strided(float* y, const float* x, int stride) {
    const int i = threadIdx.x;
    const float v = x[i * stride];  // strided
    y[i] = v;                       // coalesced
}
__global__ void one_element_for_all(float* y, const float* x) {
    y[threadIdx.x] = x[0];  // broadcast
}
__global__ void packs(float4* y, const float4* x) {
    __shared__ float4 tile[32];
    tile[threadIdx.x] = x[threadIdx.x];  // packs
    __syncwarp();
    y[threadIdx.x] = tile[31 - threadIdx.x];
}
__global__ void half_of_the_warp(float* y, const float* x) {
    if (threadIdx.x % 2 == 0) {
        const float v = x[threadIdx.x];  // every second
        y[threadIdx.x] = v;
    }
}
__global__ void boxes(float* y, const __grid_constant__ TensorMap x, int col, int row) {
    MMB_DYNAMIC_SHARED(float, tile);  // 8 rows of 32, then the mbarrier
    uint64_t* full = reinterpret_cast<uint64_t*>(tile + 256);
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(full, 1);
        ptx::fence_barrier_init();
        ptx::mbarrier_arrive_expect(full, 1024);
        ptx::tma_load(tile, x, full, col, row);  // box
    }
    __syncthreads();
    ptx::mbarrier_wait(full, 0);
    y[threadIdx.x] = tile[threadIdx.x];
}

MMB_KERNEL(columns_of_a_tile);
MMB_KERNEL(columns_of_a_padded_tile);
MMB_KERNEL(strided);
MMB_KERNEL(one_element_for_all);
MMB_KERNEL(packs);
MMB_KERNEL(half_of_the_warp);
MMB_KERNEL(boxes);
