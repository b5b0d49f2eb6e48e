// y = a x + y with managed memory and a grid-stride loop: any grid covers any n.
#include <cmath>
#include <iostream>

__global__ void saxpy(int n, float a, const float *x, float *y) {
    int stride = blockDim.x * gridDim.x;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride)
        y[i] = a * x[i] + y[i];
}

int main() {
    int n = 1 << 16;
    float *x, *y;
    cudaMallocManaged(&x, n * sizeof(float));
    cudaMallocManaged(&y, n * sizeof(float));
    for (int i = 0; i < n; i++) {
        x[i] = 1.0f;
        y[i] = 2.0f;
    }

    saxpy<<<32, 256>>>(n, 2.0f, x, y);
    cudaDeviceSynchronize();  // before the host looks at y

    float maxError = 0.0f;
    for (int i = 0; i < n; i++) maxError = std::fmax(maxError, std::fabs(y[i] - 4.0f));
    std::cout << "Max error: " << maxError << std::endl;

    cudaFree(x);
    cudaFree(y);
    return maxError == 0.0f ? 0 : 1;
}
