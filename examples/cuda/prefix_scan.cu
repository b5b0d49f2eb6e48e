// Exclusive prefix sum of one block's data, work-efficient: up the tree and down again (Blelloch).
#include <stdio.h>
#include <stdlib.h>

#define cudaCheckError() { \
    cudaError_t e = cudaGetLastError(); \
    if (e != cudaSuccess) { \
        printf("CUDA failure %s:%d: '%s'\n", __FILE__, __LINE__, cudaGetErrorString(e)); \
        exit(0); \
    } \
}

__global__ void prescan(float *g_odata, const float *g_idata, int n) {
    extern __shared__ float temp[];
    int thid = threadIdx.x, offset = 1;
    temp[2 * thid] = g_idata[2 * thid];
    temp[2 * thid + 1] = g_idata[2 * thid + 1];
    for (int d = n >> 1; d > 0; d >>= 1) {  // build the sum in place, up the tree
        __syncthreads();
        if (thid < d) {
            int ai = offset * (2 * thid + 1) - 1;
            int bi = offset * (2 * thid + 2) - 1;
            temp[bi] += temp[ai];
        }
        offset *= 2;
    }
    if (thid == 0) temp[n - 1] = 0;
    for (int d = 1; d < n; d *= 2) {  // down the tree
        offset >>= 1;
        __syncthreads();
        if (thid < d) {
            int ai = offset * (2 * thid + 1) - 1;
            int bi = offset * (2 * thid + 2) - 1;
            float t = temp[ai];
            temp[ai] = temp[bi];
            temp[bi] += t;
        }
    }
    __syncthreads();
    g_odata[2 * thid] = temp[2 * thid];
    g_odata[2 * thid + 1] = temp[2 * thid + 1];
}

int main() {
    const int n = 512;
    float in[n], out[n], *d_in, *d_out;
    for (int i = 0; i < n; i++) in[i] = i % 5;
    cudaMalloc(&d_in, sizeof(in));
    cudaMalloc(&d_out, sizeof(out));
    cudaMemcpy(d_in, in, sizeof(in), cudaMemcpyHostToDevice);
    prescan<<<1, n / 2, n * sizeof(float)>>>(d_out, d_in, n);
    cudaCheckError();
    cudaMemcpy(out, d_out, sizeof(out), cudaMemcpyDeviceToHost);
    float sum = 0;
    int wrong = 0;
    for (int i = 0; i < n; i++) {
        wrong += out[i] != sum;
        sum += in[i];
    }
    printf("last: %g, %s\n", out[n - 1], wrong ? "FAILED" : "PASSED");
    cudaFree(d_in);
    cudaFree(d_out);
    return wrong;
}
