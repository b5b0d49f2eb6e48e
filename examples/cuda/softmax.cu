// Softmax of every row, one block per row: maximum, sum and division, each over the block.
#include <cfloat>
#include <cmath>
#include <cstdio>
#include <vector>

template <int BLOCK, typename F>
__device__ float blockReduce(float value, F combine) {
    __shared__ float shared[BLOCK];
    __syncthreads();  // the array may still be read from the last call
    shared[threadIdx.x] = value;
    __syncthreads();
    for (int s = BLOCK / 2; s > 0; s >>= 1) {
        if (threadIdx.x < s) shared[threadIdx.x] = combine(shared[threadIdx.x], shared[threadIdx.x + s]);
        __syncthreads();
    }
    return shared[0];
}

template <int BLOCK>
__global__ void softmax(float *y, const float *x, int cols) {
    const float *row = x + blockIdx.x * cols;
    float m = -FLT_MAX, s = 0.0f;
    for (int j = threadIdx.x; j < cols; j += BLOCK) m = fmaxf(m, row[j]);
    m = blockReduce<BLOCK>(m, [](float a, float b) { return fmaxf(a, b); });
    for (int j = threadIdx.x; j < cols; j += BLOCK) s += __expf(row[j] - m);
    s = blockReduce<BLOCK>(s, [](float a, float b) { return a + b; });
    for (int j = threadIdx.x; j < cols; j += BLOCK) y[blockIdx.x * cols + j] = __expf(row[j] - m) / s;
}

int main() {
    const int rows = 20, cols = 333;
    std::vector<float> x(rows * cols), y(rows * cols);
    for (size_t i = 0; i < x.size(); i++) x[i] = std::sin(0.37 * i) * 20;
    float *d_x, *d_y;
    cudaMalloc(&d_x, x.size() * sizeof(float));
    cudaMalloc(&d_y, y.size() * sizeof(float));
    cudaMemcpy(d_x, x.data(), x.size() * sizeof(float), cudaMemcpyHostToDevice);
    softmax<128><<<rows, 128>>>(d_y, d_x, cols);
    cudaError_t status = cudaMemcpy(y.data(), d_y, y.size() * sizeof(float), cudaMemcpyDeviceToHost);
    if (status != cudaSuccess) printf("%s: %s\n", cudaGetErrorName(status), cudaGetErrorString(status));

    double worst = 0;
    for (int i = 0; i < rows; i++) {
        double m = -1e30, s = 0;
        for (int j = 0; j < cols; j++) m = std::fmax(m, x[i * cols + j]);
        for (int j = 0; j < cols; j++) s += std::exp(x[i * cols + j] - m);
        for (int j = 0; j < cols; j++) worst = std::fmax(worst, std::fabs(std::exp(x[i * cols + j] - m) / s - y[i * cols + j]));
    }
    printf("largest error below 1e-6: %s\n", worst < 1e-6 ? "PASSED" : "FAILED");
    cudaFree(d_x);
    cudaFree(d_y);
    return worst < 1e-6 ? 0 : 1;
}
