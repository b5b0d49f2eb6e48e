// Pi from random points: every thread has a generator of its own (a hash of its number, then xorshift).
#include <cmath>
#include <cstdio>
#include <cstdint>

__host__ __device__ inline uint32_t hash(uint32_t x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

struct Generator {
    uint32_t state;
    __device__ explicit Generator(uint32_t seed) : state(hash(seed) | 1u) {}
    __device__ float uniform() {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        return (state >> 8) * (1.0f / (1 << 24));
    }
};

__global__ void countInside(unsigned long long *inside, int samples) {
    Generator random(blockIdx.x * blockDim.x + threadIdx.x);
    int mine = 0;
    for (int i = 0; i < samples; i++) {
        float x = random.uniform(), y = random.uniform();
        if (x * x + y * y <= 1.0f) mine++;
    }
    unsigned mask = __activemask();
    for (int offset = 16; offset > 0; offset >>= 1) mine += __shfl_xor_sync(mask, mine, offset);
    if (threadIdx.x % 32 == 0) atomicAdd(inside, (unsigned long long)mine);
}

int main() {
    const int blocks = 8, threads = 128, samples = 200;
    unsigned long long *inside;
    cudaMallocManaged(&inside, sizeof *inside);
    *inside = 0;
    countInside<<<blocks, threads>>>(inside, samples);
    cudaDeviceSynchronize();
    double pi = 4.0 * *inside / ((double)blocks * threads * samples);
    bool right = std::fabs(pi - 3.14159265) < 0.02;  // five standard deviations of 204,800 points
    printf("pi is about %.4f: %s\n", pi, right ? "PASSED" : "FAILED");
    cudaFree(inside);
    return right ? 0 : 1;
}
