// C = A B with tiles in shared memory; the sizes need not be multiples of the tile.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TILE_WIDTH 16

__global__ void matmul(const float *A, const float *B, float *C, int M, int K, int N) {
    __shared__ float As[TILE_WIDTH][TILE_WIDTH];
    __shared__ float Bs[TILE_WIDTH][TILE_WIDTH];

    int row = blockIdx.y * TILE_WIDTH + threadIdx.y;
    int col = blockIdx.x * TILE_WIDTH + threadIdx.x;
    float sum = 0.0f;

    for (int t = 0; t < (K + TILE_WIDTH - 1) / TILE_WIDTH; ++t) {
        int k = t * TILE_WIDTH + threadIdx.x;
        As[threadIdx.y][threadIdx.x] = row < M && k < K ? A[row * K + k] : 0.0f;
        k = t * TILE_WIDTH + threadIdx.y;
        Bs[threadIdx.y][threadIdx.x] = k < K && col < N ? B[k * N + col] : 0.0f;
        __syncthreads();

#pragma unroll
        for (int i = 0; i < TILE_WIDTH; ++i) sum += As[threadIdx.y][i] * Bs[i][threadIdx.x];
        __syncthreads();
    }
    if (row < M && col < N) C[row * N + col] = sum;
}

int main(int argc, char **argv) {
    int M = argc > 1 ? atoi(argv[1]) : 50, K = 37, N = 41;
    float *A = new float[M * K], *B = new float[K * N], *C = new float[M * N];
    srand(1);
    for (int i = 0; i < M * K; i++) A[i] = rand() / (float)RAND_MAX;
    for (int i = 0; i < K * N; i++) B[i] = rand() / (float)RAND_MAX;

    float *dA, *dB, *dC;
    cudaMalloc(&dA, M * K * sizeof(float));
    cudaMalloc(&dB, K * N * sizeof(float));
    cudaMalloc(&dC, M * N * sizeof(float));
    cudaMemcpy(dA, A, M * K * sizeof(float), cudaMemcpyHostToDevice);
    cudaMemcpy(dB, B, K * N * sizeof(float), cudaMemcpyHostToDevice);

    dim3 dimBlock(TILE_WIDTH, TILE_WIDTH);
    dim3 dimGrid((N + TILE_WIDTH - 1) / TILE_WIDTH, (M + TILE_WIDTH - 1) / TILE_WIDTH);
    matmul<<<dimGrid, dimBlock>>>(dA, dB, dC, M, K, N);
    cudaMemcpy(C, dC, M * N * sizeof(float), cudaMemcpyDeviceToHost);

    double worst = 0;
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            double exact = 0;
            for (int k = 0; k < K; k++) exact += (double)A[i * K + k] * B[k * N + j];
            worst = fmax(worst, fabs(exact - C[i * N + j]));
        }
    printf("largest error %.2e: %s\n", worst, worst < 1e-4 ? "PASSED" : "FAILED");

    cudaFree(dA);
    cudaFree(dB);
    cudaFree(dC);
    delete[] A;
    delete[] B;
    delete[] C;
    return worst < 1e-4 ? 0 : 1;
}
