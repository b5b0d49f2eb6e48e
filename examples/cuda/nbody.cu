// Gravity between n bodies: positions as float4 (x, y, z, mass), in tiles of shared memory.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK 64
#define SOFTENING 1e-3f

__device__ float3 pull(float4 me, float4 other, float3 a) {
    float3 r = make_float3(other.x - me.x, other.y - me.y, other.z - me.z);
    float square = r.x * r.x + r.y * r.y + r.z * r.z + SOFTENING;
    float inverse = rsqrtf(square);
    float s = other.w * inverse * inverse * inverse;
    a.x += r.x * s;
    a.y += r.y * s;
    a.z += r.z * s;
    return a;
}

__global__ void __launch_bounds__(BLOCK) accelerate(const float4 *__restrict__ bodies, float3 *__restrict__ out, int n) {
    __shared__ float4 tile[BLOCK];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float4 me = i < n ? bodies[i] : make_float4(0, 0, 0, 0);
    float3 a = {0.0f, 0.0f, 0.0f};
    for (int start = 0; start < n; start += BLOCK) {
        int j = start + threadIdx.x;
        tile[threadIdx.x] = j < n ? bodies[j] : make_float4(0, 0, 0, 0);  // no mass, no pull
        __syncthreads();
#pragma unroll 8
        for (int k = 0; k < BLOCK; k++) a = pull(me, tile[k], a);
        __syncthreads();
    }
    if (i < n) out[i] = a;
}

int main() {
    const int n = 150;
    float4 *bodies = (float4 *)malloc(n * sizeof(float4));
    float3 *a = (float3 *)malloc(n * sizeof(float3));
    srand(7);
    for (int i = 0; i < n; i++) {
        float x = rand() / (float)RAND_MAX, y = rand() / (float)RAND_MAX, z = rand() / (float)RAND_MAX;
        bodies[i] = make_float4(x, y, z, 1.0f + i % 3);
    }
    float4 *d_bodies;
    float3 *d_a;
    cudaMalloc(&d_bodies, n * sizeof(float4));
    cudaMalloc(&d_a, n * sizeof(float3));
    cudaMemcpy(d_bodies, bodies, n * sizeof(float4), cudaMemcpyHostToDevice);
    accelerate<<<(n + BLOCK - 1) / BLOCK, BLOCK>>>(d_bodies, d_a, n);
    cudaMemcpy(a, d_a, n * sizeof(float3), cudaMemcpyDeviceToHost);

    // Newton's third law: the forces add up to nothing.
    double fx = 0, fy = 0, fz = 0, size = 0;
    for (int i = 0; i < n; i++) {
        double m = bodies[i].w;
        fx += m * a[i].x;
        fy += m * a[i].y;
        fz += m * a[i].z;
        size += m * fabs(a[i].x);
    }
    double rest = (fabs(fx) + fabs(fy) + fabs(fz)) / size;
    printf("sum of forces / their size: %s\n", rest < 1e-5 ? "PASSED" : "FAILED");
    cudaFree(d_bodies);
    cudaFree(d_a);
    free(bodies);
    free(a);
    return rest < 1e-5 ? 0 : 1;
}
