// Kernels for any type and operation, and three arrays cut from one piece of dynamic shared memory.
#include <algorithm>
#include <cstdio>
#include <vector>

struct Square {
    __host__ __device__ double operator()(double x) const { return x * x; }
};

template <typename T, typename Op>
__global__ void apply(T *y, const T *x, int n, Op op) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = op(x[i]);
}

// Each block writes the smallest and largest of its part, and where the smallest was.
template <typename T>
__global__ void extremes(const T *x, int n, T *smallest, T *largest, int *place) {
    extern __shared__ __align__(sizeof(double)) unsigned char memory[];
    T *low = reinterpret_cast<T *>(memory);
    T *high = low + blockDim.x;
    int *index = reinterpret_cast<int *>(high + blockDim.x);

    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    int safe = i < n ? i : n - 1;
    low[t] = high[t] = x[safe];
    index[t] = safe;
    __syncthreads();
    for (int s = blockDim.x / 2; s > 0; s /= 2) {
        if (t < s) {
            if (low[t + s] < low[t]) {
                low[t] = low[t + s];
                index[t] = index[t + s];
            }
            high[t] = max(high[t], high[t + s]);
        }
        __syncthreads();
    }
    if (t == 0) {
        smallest[blockIdx.x] = low[0];
        largest[blockIdx.x] = high[0];
        place[blockIdx.x] = index[0];
    }
}

template <typename T>
bool test(const char *name) {
    const int n = 1000, threads = 128, blocks = (n + threads - 1) / threads;
    std::vector<T> x(n), low(blocks), high(blocks);
    std::vector<int> at(blocks);
    for (int i = 0; i < n; i++) x[i] = static_cast<T>((i * 37) % 1009 - 500);
    T *d_x, *d_y, *d_low, *d_high;
    int *d_at;
    cudaMalloc(&d_x, n * sizeof(T));
    cudaMalloc(&d_y, n * sizeof(T));
    cudaMalloc(&d_low, blocks * sizeof(T));
    cudaMalloc(&d_high, blocks * sizeof(T));
    cudaMalloc(&d_at, blocks * sizeof(int));
    cudaMemcpy(d_x, x.data(), n * sizeof(T), cudaMemcpyHostToDevice);

    apply<<<blocks, threads>>>(d_y, d_x, n, Square());
    apply<<<blocks, threads>>>(d_y, d_y, n, [=] __device__(T v) { return v - 1; });
    extremes<T><<<blocks, threads, threads * (2 * sizeof(T) + sizeof(int))>>>(d_x, n, d_low, d_high, d_at);

    std::vector<T> y(n);
    cudaMemcpy(y.data(), d_y, n * sizeof(T), cudaMemcpyDeviceToHost);
    cudaMemcpy(low.data(), d_low, blocks * sizeof(T), cudaMemcpyDeviceToHost);
    cudaMemcpy(high.data(), d_high, blocks * sizeof(T), cudaMemcpyDeviceToHost);
    cudaMemcpy(at.data(), d_at, blocks * sizeof(int), cudaMemcpyDeviceToHost);

    bool right = *std::min_element(low.begin(), low.end()) == *std::min_element(x.begin(), x.end()) &&
                 *std::max_element(high.begin(), high.end()) == *std::max_element(x.begin(), x.end());
    for (int b = 0; b < blocks; b++) right = right && x[at[b]] == low[b];
    for (int i = 0; i < n; i++) right = right && y[i] == x[i] * x[i] - 1;
    printf("%s %s\n", name, right ? "PASSED" : "FAILED");
    for (void *p : {(void *)d_x, (void *)d_y, (void *)d_low, (void *)d_high, (void *)d_at}) cudaFree(p);
    return right;
}

int main() {
    bool right = test<float>("float");
    right = test<double>("double") && right;
    right = test<int>("int") && right;
    return right ? 0 : 1;
}
