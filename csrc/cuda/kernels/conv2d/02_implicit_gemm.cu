// Convolution, step 2: the matrix product of step 1 without its matrix.
//
//   y[n, o] = Σ over channels and places of x · weight[o], + bias[o]       per group, as a product of
//       forward    weight (O/G, K)             and the windows of x (K, N·OH·OW),   K = C/G · KH · KW
//       dx         weightᵀ (C/G, O/G·KH·KW)    and the windows of g that hold a pixel
//       dweight    g (O/G, N·OH·OW)            and the windows of x, transposed
//   grid     (tiles of columns, tiles of rows, groups · splits); block 256
//   flops    2 · N · OH · OW · O · C/G · KH · KW each
//
// A column of step 1 is built in shared memory, tile by tile, just before it is used: no numbers but the
// image, the filters and the result travel. A block makes a tile of 64 x 64 from slices of 16, each thread
// 4 x 4 of it from registers: 8 loads from shared memory for 16 multiply-adds. Where a number of the window
// matrix lies is arithmetic: its column (image, row, col) is worked out once per thread, its row (channel,
// place) by multiplication instead of division. dweight has few tiles and a long sum, so the sum is split
// over blocks into a workspace, and `sum_splits` adds the parts in their order: no atomics, the same bits
// on every run.
//
// A group of few filters, down to one in a depthwise convolution, fills few rows of its tiles: right, but
// slow. What is left: tiles of other shapes for that, packs of 16 bytes, copies that run ahead (as matmul's ladder), tensor cores.
// With 64 x 64 x 16 tiles matmul's ladder stands at its step 5, by published figures 69 % of
// cuBLAS in fp32 on an A6000 (siboehm/SGEMM_CUDA, README); the index arithmetic comes on top. Not measured yet.
#include "reduce.cuh"
#include "windows.cuh"

constexpr int TILE = 64, SLICE = 16, EACH = 4;  // a block of 256 threads, each EACH x EACH numbers of a tile

// n / d by a multiplication.   Source: Granlund and Montgomery, Division by invariant integers using
// multiplication, PLDI 1994, figure 4.1; for n < 2³¹.
struct Division {
    unsigned divisor, multiplier, shift;
    __device__ __forceinline__ explicit Division(unsigned d) : divisor(d), shift(0) {
        while (shift < 32 && (1ull << shift) < d) ++shift;
        multiplier = static_cast<unsigned>(((1ull << 32) * ((1ull << shift) - d)) / d + 1);
    }
    __device__ __forceinline__ int quotient(int n) const {
        return static_cast<int>((static_cast<unsigned>(__umulhi(n, multiplier)) + n) >> shift);
    }
    __device__ __forceinline__ int split(int n, int& rest) const {  // n = quotient · divisor + rest
        const int q = quotient(n);
        rest = n - q * static_cast<int>(divisor);
        return q;
    }
};

struct Convolution {
    Windows windows;
    int images, channels, filters;  // channels and filters of one group
    int groups, splits;
};

// c(row, col) = Σₖ a(row, k) · b(k, col), for k in [first, after). `a` and `b` are asked for numbers, `b` of a
// column it has worked out before; `store` gets the tile's numbers.
template <class T, class A, class B, class Store>
__device__ __forceinline__ void multiply(int rows, int cols, int first, int after, const A& a, const B& b,
                                         const Store& store) {
    __shared__ T a_tile[SLICE][TILE + 1], b_tile[SLICE][TILE];  // + 1: written along k, read along rows
    const int row0 = blockIdx.y * TILE, col0 = blockIdx.x * TILE;
    const int thread_row = threadIdx.x / (TILE / EACH), thread_col = threadIdx.x % (TILE / EACH);
    const int b_col = threadIdx.x % TILE, a_k = threadIdx.x % SLICE;
    const auto column = b.column(min(col0 + b_col, cols - 1));
    T sums[EACH][EACH] = {};
    for (int k0 = first; k0 < after; k0 += SLICE) {
#pragma unroll
        for (int i = threadIdx.x / SLICE; i < TILE; i += 256 / SLICE)
            a_tile[a_k][i] = row0 + i < rows && k0 + a_k < after ? a(row0 + i, k0 + a_k) : T(0);
#pragma unroll
        for (int k = threadIdx.x / TILE; k < SLICE; k += 256 / TILE)
            b_tile[k][b_col] = col0 + b_col < cols && k0 + k < after ? b(k0 + k, column) : T(0);
        __syncthreads();
#pragma unroll
        for (int k = 0; k < SLICE; ++k) {
            T left[EACH], right[EACH];
#pragma unroll
            for (int i = 0; i < EACH; ++i) left[i] = a_tile[k][thread_row + i * (TILE / EACH)];
#pragma unroll
            for (int j = 0; j < EACH; ++j) right[j] = b_tile[k][thread_col + j * (TILE / EACH)];
#pragma unroll
            for (int i = 0; i < EACH; ++i)
#pragma unroll
                for (int j = 0; j < EACH; ++j) sums[i][j] += left[i] * right[j];
        }
        __syncthreads();
    }
#pragma unroll
    for (int j = 0; j < EACH; ++j) {
        const int col = col0 + thread_col + j * (TILE / EACH);
        if (col >= cols) continue;
#pragma unroll
        for (int i = 0; i < EACH; ++i) {
            const int row = row0 + thread_row + i * (TILE / EACH);
            if (row < rows) store(row, col, sums[i][j]);
        }
    }
}

struct Position {  // of a window, or of a pixel, among those of all images
    int image, row, col;
    __device__ __forceinline__ Position(int i, const Division& of_image, const Division& of_row) {
        image = of_image.split(i, row);
        row = of_row.split(row, col);
    }
};

// Entry (channel and place, window) of the matrix that step 1 writes out.
template <class T>
struct WindowsOf {
    const T* x;  // the group's first channel of the first image
    const Windows& w;
    int64_t image_stride;
    Division per_image, per_row, per_channel, per_place_row;

    __device__ __forceinline__ WindowsOf(const T* x, const Convolution& c)
        : x(x), w(c.windows), image_stride(static_cast<int64_t>(c.groups) * c.channels * w.size[0] * w.size[1]),
          per_image(w.count[0] * w.count[1]), per_row(w.count[1]), per_channel(w.kernel[0] * w.kernel[1]),
          per_place_row(w.kernel[1]) {}
    __device__ __forceinline__ Position column(int i) const { return Position(i, per_image, per_row); }
    __device__ __forceinline__ T operator()(int k, const Position& at) const {
        int place, place_col;
        const int channel = per_channel.split(k, place);
        const int place_row = per_place_row.split(place, place_col);
        const int row = w.pixel(0, at.row, place_row), col = w.pixel(1, at.col, place_col);
        if (!w.inside(row, col)) return T(0);
        return x[at.image * image_stride + (static_cast<int64_t>(channel) * w.size[0] + row) * w.size[1] + col];
    }
};

// RELU: y is 0 where the sum is negative, while it is in a register; a NaN stays one.
template <class T, bool RELU>
__global__ void __launch_bounds__(256)
    conv2d(T* __restrict__ y, const T* __restrict__ x, const T* __restrict__ weight, const T* __restrict__ bias,
           const __grid_constant__ Convolution c) {
    const Windows& w = c.windows;
    const int group = blockIdx.z, windows = w.count[0] * w.count[1], depth = c.channels * w.kernel[0] * w.kernel[1];
    const int64_t pixels = static_cast<int64_t>(w.size[0]) * w.size[1];
    const T* filters = weight + static_cast<int64_t>(group) * c.filters * depth;
    const WindowsOf<T> columns(x + static_cast<int64_t>(group) * c.channels * pixels, c);
    multiply<T>(
        c.filters, c.images * windows, 0, depth,
        [&](int o, int k) { return filters[static_cast<int64_t>(o) * depth + k]; }, columns,
        [&](int o, int i, T sum) {
            int window;
            const int64_t image = columns.per_image.split(i, window);
            const int filter = group * c.filters + o;
            const T z = bias ? sum + bias[filter] : sum;
            y[(image * c.groups * c.filters + filter) * windows + window] = RELU && z < T(0) ? T(0) : z;
        });
}

// Entry (filter and place, pixel): the gradient of the window in which the pixel stands at that place.
template <class T>
struct GradientsAt {
    const T* g;
    const Windows& w;
    int64_t image_stride;
    Division per_image, per_row, per_filter, per_place_row, row_stride, col_stride;

    __device__ __forceinline__ GradientsAt(const T* g, const Convolution& c)
        : g(g), w(c.windows), image_stride(static_cast<int64_t>(c.groups) * c.filters * w.count[0] * w.count[1]),
          per_image(w.size[0] * w.size[1]), per_row(w.size[1]), per_filter(w.kernel[0] * w.kernel[1]),
          per_place_row(w.kernel[1]), row_stride(w.stride[0]), col_stride(w.stride[1]) {}
    __device__ __forceinline__ Position column(int i) const { return Position(i, per_image, per_row); }
    __device__ __forceinline__ T operator()(int k, const Position& at) const {
        int place, place_col;
        const int filter = per_filter.split(k, place);
        const int place_row = per_place_row.split(place, place_col);
        const int row_start = at.row + w.top_left[0] - place_row * w.dilation[0];
        const int col_start = at.col + w.top_left[1] - place_col * w.dilation[1];
        if (row_start < 0 || col_start < 0) return T(0);
        int row_rest, col_rest;  // other than 0: no window has the pixel at this place
        const int row = row_stride.split(row_start, row_rest), col = col_stride.split(col_start, col_rest);
        if (row_rest || col_rest || row >= w.count[0] || col >= w.count[1]) return T(0);
        return g[at.image * image_stride + (static_cast<int64_t>(filter) * w.count[0] + row) * w.count[1] + col];
    }
};

template <class T>
__global__ void __launch_bounds__(256)
    conv2d_dx(T* __restrict__ dx, const T* __restrict__ g, const T* __restrict__ weight,
              const __grid_constant__ Convolution c) {
    const Windows& w = c.windows;
    const int group = blockIdx.z, places = w.kernel[0] * w.kernel[1], pixels = w.size[0] * w.size[1];
    const T* filters = weight + static_cast<int64_t>(group) * c.filters * c.channels * places;
    const int64_t windows = static_cast<int64_t>(w.count[0]) * w.count[1];
    const GradientsAt<T> columns(g + group * c.filters * windows, c);
    multiply<T>(
        c.channels, c.images * pixels, 0, c.filters * places,
        [&](int channel, int k) {
            int place;
            const int64_t filter = columns.per_filter.split(k, place);
            return filters[(filter * c.channels + channel) * places + place];
        },
        columns,
        [&](int channel, int i, T sum) {
            int pixel;
            const int64_t image = columns.per_image.split(i, pixel);
            dx[((image * c.groups + group) * c.channels + channel) * pixels + pixel] = sum;
        });
}

// The matrix of windows once more, asked the other way round: its rows are the columns of the product.
template <class T>
struct TransposedWindows {
    WindowsOf<T> windows;
    struct Row {
        int k;
    };
    __device__ __forceinline__ Row column(int k) const { return {k}; }
    __device__ __forceinline__ T operator()(int i, const Row& row) const { return windows(row.k, windows.column(i)); }
};

template <class T>
__global__ void __launch_bounds__(256)
    conv2d_dweight(T* __restrict__ parts, const T* __restrict__ g, const T* __restrict__ x,
                   const __grid_constant__ Convolution c) {
    const Windows& w = c.windows;
    const int group = blockIdx.z / c.splits, split = blockIdx.z % c.splits;
    const int windows = w.count[0] * w.count[1], depth = c.channels * w.kernel[0] * w.kernel[1];
    const int64_t pixels = static_cast<int64_t>(w.size[0]) * w.size[1];
    const int terms = c.images * windows;
    const int share = (terms + c.splits - 1) / c.splits;
    const int first = min(split * share, terms), after = min(first + share, terms);
    const TransposedWindows<T> columns{WindowsOf<T>(x + static_cast<int64_t>(group) * c.channels * pixels, c)};
    T* part = parts + (static_cast<int64_t>(split) * c.groups + group) * c.filters * depth;
    multiply<T>(
        c.filters, depth, first, after,
        [&](int o, int i) {
            int window;
            const int64_t image = columns.windows.per_image.split(i, window);
            return g[((image * c.groups + group) * c.filters + o) * windows + window];
        },
        columns, [&](int o, int k, T sum) { part[static_cast<int64_t>(o) * depth + k] = sum; });
}

// dweight = Σ over the splits, in their order.
template <class T>
__global__ void sum_splits(T* __restrict__ y, const T* __restrict__ parts, int64_t n, int splits) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= n) return;
    T sum = 0;
    for (int split = 0; split < splits; ++split) sum += parts[split * n + i];
    y[i] = sum;
}

// dbias[o] = Σ over images and windows of g (N, O, OH·OW); a block per filter.
template <class T>
__global__ void __launch_bounds__(256)
    conv2d_dbias(T* __restrict__ dbias, const T* __restrict__ g, int images, int filters, int windows) {
    T sum = 0;
    for (int image = 0; image < images; ++image) {
        const T* plane = g + (static_cast<int64_t>(image) * filters + blockIdx.x) * windows;
        for (int i = threadIdx.x; i < windows; i += blockDim.x) sum += plane[i];
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) dbias[blockIdx.x] = sum;
}

MMB_KERNEL_AS(conv2d_f32, conv2d<float, false>);
MMB_KERNEL_AS(conv2d_f64, conv2d<double, false>);
MMB_KERNEL_AS(conv2d_relu_f32, conv2d<float, true>);
MMB_KERNEL_AS(conv2d_relu_f64, conv2d<double, true>);
MMB_KERNEL_AS(conv2d_dx_f32, conv2d_dx<float>);
MMB_KERNEL_AS(conv2d_dx_f64, conv2d_dx<double>);
MMB_KERNEL_AS(conv2d_dweight_f32, conv2d_dweight<float>);
MMB_KERNEL_AS(conv2d_dweight_f64, conv2d_dweight<double>);
MMB_KERNEL_AS(sum_splits_f32, sum_splits<float>);
MMB_KERNEL_AS(sum_splits_f64, sum_splits<double>);
MMB_KERNEL_AS(conv2d_dbias_f32, conv2d_dbias<float>);
MMB_KERNEL_AS(conv2d_dbias_f64, conv2d_dbias<double>);
