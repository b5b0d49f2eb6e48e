// Asynchronous copies as the programming guide prints them: cuda_pipeline.h and cooperative_groups.
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <cuda_pipeline.h>
#include <stdio.h>
namespace cg = cooperative_groups;
template <int STAGES, int B>
__global__ void turned(const float4 *in, float4 *out, int tiles) {
    __shared__ alignas(16) float4 tile[STAGES][B];
    int t = threadIdx.x;
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < tiles) __pipeline_memcpy_async(&tile[s][t], &in[s * B + t], sizeof(float4));
        __pipeline_commit();
    }
    for (int k = 0; k < tiles; k++) {
        int next = k + STAGES - 1;
        if (next < tiles) __pipeline_memcpy_async(&tile[next % STAGES][t], &in[next * B + t], sizeof(float4));
        __pipeline_commit();
        __pipeline_wait_prior(STAGES - 1);
        __syncthreads();
        out[k * B + t] = tile[k % STAGES][B - 1 - t];
        __syncthreads();
    }
}
__global__ void half_of_it(const int2 *in, int2 *out) {
    __shared__ int2 s[32];
    __pipeline_memcpy_async(&s[threadIdx.x], &in[threadIdx.x], 8, 4);  // y becomes 0
    __pipeline_commit();
    __pipeline_wait_prior(0);
    out[threadIdx.x] = s[threadIdx.x];
}
__global__ void sums(int *out, const int *in, char *bytes) {
    auto block = cg::this_thread_block();
    __shared__ int tile[2][48];
    const int *mine = in + blockIdx.x * 144;
    int sum = 0;
    cg::memcpy_async(block, tile[0], mine, sizeof tile[0]);
    for (int k = 0; k < 3; k++) {
        if (k < 2) cg::memcpy_async(block, tile[(k + 1) % 2], mine + 48 * (k + 1), sizeof tile[0]);
        if (k < 2) cg::wait_prior<1>(block);
        else cg::wait(block);
        sum += tile[k % 2][(threadIdx.x + 5) % 48];
        block.sync();
    }
    out[blockIdx.x * 48 + threadIdx.x] = sum;
    cg::memcpy_async(block, bytes + 3 * blockIdx.x, (const char *)mine + 1, 3);  // odd, and to global memory
    cg::wait(block);
}
int main() {
    const int B = 64, tiles = 7, n = B * tiles * 4;
    int *h = new int[n], *g = new int[n], *in, *out, wrong = 0;
    char *bytes;
    for (int i = 0; i < n; i++) h[i] = 1000 + i;
    cudaMalloc(&in, n * 4), cudaMalloc(&out, n * 4), cudaMalloc(&bytes, 6);
    cudaMemcpy(in, h, n * 4, cudaMemcpyHostToDevice);
    turned<3, B><<<1, B>>>((float4 *)in, (float4 *)out, tiles);
    cudaMemcpy(g, out, n * 4, cudaMemcpyDeviceToHost);
    for (int i = 0; i < n; i++) wrong += g[i] != h[i / (4 * B) * 4 * B + (B - 1 - i / 4 % B) * 4 + i % 4];
    half_of_it<<<1, 32>>>((int2 *)in, (int2 *)out);
    cudaMemcpy(g, out, 256, cudaMemcpyDeviceToHost);
    for (int i = 0; i < 64; i++) wrong += g[i] != (i % 2 ? 0 : h[i]);
    sums<<<2, 48>>>(out, in, bytes);
    cudaMemcpy(g, out, 96 * 4, cudaMemcpyDeviceToHost);
    for (int i = 0; i < 96; i++) {
        int sum = 0;
        for (int k = 0; k < 3; k++) sum += h[i / 48 * 144 + 48 * k + (i + 5) % 48];
        wrong += g[i] != sum;
    }
    cudaMemcpy(g, bytes, 6, cudaMemcpyDeviceToHost);
    for (int i = 0; i < 6; i++) wrong += ((char *)g)[i] != ((char *)(h + i / 3 * 144))[1 + i % 3];
    cudaFree(in), cudaFree(out), cudaFree(bytes);
    delete[] h, delete[] g;
    printf(wrong ? "FAILED\n" : "PASSED\n");
    return wrong != 0;
}
