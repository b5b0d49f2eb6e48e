// Pooling: the largest or the sum of each window of an image, and the way back.
//
//   max_pool       y, indices (planes, OH, OW), x (planes, H, W); indices: row · W + column of the largest
//   max_unpool     dx (planes, H, W): what the windows whose largest a pixel is hand to it
//   window_sum     y (planes, OH, OW): the sums; window_spread  y (planes, H, W): their gradient
//   grid           a thread per number that is written
//   bytes          that number and what it is made of, once: windows that overlap meet in the cache
//
// The way back gathers: a pixel asks the windows that hold it. To scatter, a window would add to its
// pixel with an atomic, and the bits would depend on who comes first. Both ways take their terms in the
// order of the references in ops/pooling.py. Not measured yet.
#include "windows.cuh"

struct Place {  // of a number in (planes, rows, columns)
    int64_t plane;
    int row, col;
    __device__ __forceinline__ Place(int64_t i, const int (&size)[2])
        : plane(i / (size[0] * size[1])), row(i % (size[0] * size[1]) / size[1]), col(i % size[1]) {}
};

__device__ __forceinline__ int64_t thread() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }

template <class T>
__global__ void max_pool(T* __restrict__ y, int64_t* __restrict__ indices, const T* __restrict__ x, int64_t n,
                         const __grid_constant__ Windows w) {
    if (thread() >= n) return;
    const Place at(thread(), w.count);
    x += at.plane * w.size[0] * w.size[1];
    // the first place that the border does not hold, whatever stands there: as PyTorch, for -∞ alone too
    int first_row = w.pixel(0, at.row, 0), first_col = w.pixel(1, at.col, 0);
    while (first_row < 0) first_row += w.dilation[0];
    while (first_col < 0) first_col += w.dilation[1];
    T best = -INFINITY;
    int64_t where = static_cast<int64_t>(first_row) * w.size[1] + first_col;
    for (int i = 0; i < w.kernel[0]; ++i)
        for (int j = 0; j < w.kernel[1]; ++j) {
            const int row = w.pixel(0, at.row, i), col = w.pixel(1, at.col, j);
            if (!w.inside(row, col)) continue;
            const int64_t here = static_cast<int64_t>(row) * w.size[1] + col;
            const T value = x[here];
            if (value > best || value != value) best = value, where = here;  // NaN is larger
        }
    y[thread()] = best;
    indices[thread()] = where;
}

template <class T>
__global__ void max_unpool(T* __restrict__ dx, const T* __restrict__ g, const int64_t* __restrict__ indices,
                           int64_t n, const __grid_constant__ Windows w) {
    if (thread() >= n) return;
    const Place at(thread(), w.size);
    const int64_t first = at.plane * w.count[0] * w.count[1];
    const int64_t here = static_cast<int64_t>(at.row) * w.size[1] + at.col;
    T sum = 0;
    for (int i = w.kernel[0] - 1; i >= 0; --i)  // the last place in a window belongs to the first window
        for (int j = w.kernel[1] - 1; j >= 0; --j) {
            const int row = w.window(0, at.row, i), col = w.window(1, at.col, j);
            if (row < 0 || col < 0) continue;
            const int64_t k = first + static_cast<int64_t>(row) * w.count[1] + col;
            if (indices[k] == here) sum += g[k];
        }
    dx[thread()] = sum;
}

template <class T>
__global__ void window_sum(T* __restrict__ y, const T* __restrict__ x, int64_t n, const __grid_constant__ Windows w) {
    if (thread() >= n) return;
    const Place at(thread(), w.count);
    x += at.plane * w.size[0] * w.size[1];
    T sum = 0;
    for (int i = 0; i < w.kernel[0]; ++i)
        for (int j = 0; j < w.kernel[1]; ++j) {
            const int row = w.pixel(0, at.row, i), col = w.pixel(1, at.col, j);
            if (w.inside(row, col)) sum += x[static_cast<int64_t>(row) * w.size[1] + col];
        }
    y[thread()] = sum;
}

template <class T>
__global__ void window_spread(T* __restrict__ y, const T* __restrict__ x, int64_t n,
                              const __grid_constant__ Windows w) {
    if (thread() >= n) return;
    const Place at(thread(), w.size);
    x += at.plane * w.count[0] * w.count[1];
    T sum = 0;
    for (int i = 0; i < w.kernel[0]; ++i)
        for (int j = 0; j < w.kernel[1]; ++j) {
            const int row = w.window(0, at.row, i), col = w.window(1, at.col, j);
            if (row >= 0 && col >= 0) sum += x[static_cast<int64_t>(row) * w.count[1] + col];
        }
    y[thread()] = sum;
}

MMB_KERNEL_AS(max_pool_f32, max_pool<float>);
MMB_KERNEL_AS(max_pool_f64, max_pool<double>);
MMB_KERNEL_AS(max_unpool_f32, max_unpool<float>);
MMB_KERNEL_AS(max_unpool_f64, max_unpool<double>);
MMB_KERNEL_AS(window_sum_f32, window_sum<float>);
MMB_KERNEL_AS(window_sum_f64, window_sum<double>);
MMB_KERNEL_AS(window_spread_f32, window_spread<float>);
MMB_KERNEL_AS(window_spread_f64, window_spread<double>);
