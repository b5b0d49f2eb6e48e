// The sum of an array, four times: each kernel mends what slows the one before it.
#include <cstdio>
#include <numeric>
#include <vector>

const int BLOCK = 128;

// Neighbours first: in every warp half of the lanes idle.
__global__ void reduceInterleaved(const int *in, int *out, int n) {
    extern __shared__ int sdata[];
    unsigned tid = threadIdx.x, i = blockIdx.x * blockDim.x + tid;
    sdata[tid] = i < n ? in[i] : 0;
    __syncthreads();
    for (unsigned s = 1; s < blockDim.x; s *= 2) {
        if (tid % (2 * s) == 0) sdata[tid] += sdata[tid + s];
        __syncthreads();
    }
    if (tid == 0) out[blockIdx.x] = sdata[0];
}

// Halves: the lanes that work are neighbours.
__global__ void reduceSequential(const int *in, int *out, int n) {
    extern __shared__ int sdata[];
    unsigned tid = threadIdx.x, i = blockIdx.x * blockDim.x + tid;
    sdata[tid] = i < n ? in[i] : 0;
    __syncthreads();
    for (unsigned s = blockDim.x / 2; s > 0; s >>= 1) {
        if (tid < s) sdata[tid] += sdata[tid + s];
        __syncthreads();
    }
    if (tid == 0) out[blockIdx.x] = sdata[0];
}

__inline__ __device__ int warpReduce(int value) {
    for (int offset = warpSize / 2; offset > 0; offset /= 2) value += __shfl_down_sync(0xffffffff, value, offset);
    return value;
}

// Shuffles: a warp sums in registers, only one number per warp goes through shared memory.
__global__ void reduceShuffle(const int *in, int *out, int n) {
    __shared__ int partial[32];
    int lane = threadIdx.x % warpSize, warp = threadIdx.x / warpSize;
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int sum = warpReduce(i < n ? in[i] : 0);
    if (lane == 0) partial[warp] = sum;
    __syncthreads();
    if (warp == 0) {
        sum = warpReduce(lane < blockDim.x / warpSize ? partial[lane] : 0);
        if (lane == 0) out[blockIdx.x] = sum;
    }
}

// A grid-stride loop before it, and one atomic per block after it: one launch does it all.
template <unsigned int blockSize>
__global__ void reduceAtomic(const int *in, int *out, int n) {
    __shared__ int sdata[blockSize];
    int sum = 0;
    for (int i = blockIdx.x * blockSize + threadIdx.x; i < n; i += blockSize * gridDim.x) sum += in[i];
    sdata[threadIdx.x] = sum;
    __syncthreads();
    for (unsigned s = blockSize / 2; s >= 32; s >>= 1) {
        if (threadIdx.x < s) sdata[threadIdx.x] += sdata[threadIdx.x + s];
        __syncthreads();
    }
    if (threadIdx.x < 32) {
        sum = warpReduce(sdata[threadIdx.x]);
        if (threadIdx.x == 0) atomicAdd(out, sum);
    }
}

int main() {
    const int n = 10000, blocks = (n + BLOCK - 1) / BLOCK;
    std::vector<int> h(n);
    for (int i = 0; i < n; i++) h[i] = i % 17 - 3;
    const int exact = std::accumulate(h.begin(), h.end(), 0);

    int *d_in, *d_out;
    cudaMalloc(&d_in, n * sizeof(int));
    cudaMalloc(&d_out, blocks * sizeof(int));
    cudaMemcpy(d_in, h.data(), n * sizeof(int), cudaMemcpyHostToDevice);

    bool right = true;
    auto finish = [&](const char *name) {
        std::vector<int> part(blocks);
        cudaMemcpy(part.data(), d_out, blocks * sizeof(int), cudaMemcpyDeviceToHost);
        int sum = std::accumulate(part.begin(), part.end(), 0);
        printf("%-12s %d %s\n", name, sum, sum == exact ? "PASSED" : "FAILED");
        right = right && sum == exact;
    };

    reduceInterleaved<<<blocks, BLOCK, BLOCK * sizeof(int)>>>(d_in, d_out, n);
    finish("interleaved");
    reduceSequential<<<blocks, BLOCK, BLOCK * sizeof(int)>>>(d_in, d_out, n);
    finish("sequential");
    reduceShuffle<<<blocks, BLOCK>>>(d_in, d_out, n);
    finish("shuffle");
    cudaMemset(d_out, 0, blocks * sizeof(int));
    reduceAtomic<BLOCK><<<8, BLOCK>>>(d_in, d_out, n);
    finish("atomic");

    cudaFree(d_in);
    cudaFree(d_out);
    return right ? 0 : 1;
}
