// A sum with cooperative groups: the block, and tiles of 32 threads of it, as objects.
#include <cooperative_groups.h>
#include <stdio.h>

namespace cg = cooperative_groups;

__device__ int tileSum(cg::thread_block_tile<32> tile, int value) {
    for (int i = tile.size() / 2; i > 0; i /= 2) value += tile.shfl_down(value, i);
    return value;  // right in lane 0
}

__global__ void sum(int *total, const int *in, int n) {
    cg::thread_block block = cg::this_thread_block();
    cg::thread_block_tile<32> tile = cg::tiled_partition<32>(block);
    __shared__ int partial[32];

    int mine = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) mine += in[i];
    int s = tileSum(tile, mine);
    if (tile.thread_rank() == 0) partial[block.thread_rank() / 32] = s;
    block.sync();
    if (block.thread_rank() == 0) {
        int all = 0;
        for (int i = 0; i < (int)block.size() / 32; i++) all += partial[i];
        atomicAdd(total, all);
    }
}

int main() {
    const int n = 5000;
    int *in, *total;
    cudaMallocManaged(&in, n * sizeof(int));
    cudaMallocManaged(&total, sizeof(int));
    for (int i = 0; i < n; i++) in[i] = i;
    *total = 0;
    sum<<<6, 128>>>(total, in, n);
    cudaError_t error = cudaDeviceSynchronize();
    if (error != cudaSuccess) printf("%s\n", cudaGetErrorString(error));
    bool right = *total == n * (n - 1) / 2;
    printf("%d %s\n", *total, right ? "PASSED" : "FAILED");
    cudaFree(in);
    cudaFree(total);
    return right ? 0 : 1;
}
