// y = x̂ · weight + bias,  x̂ = (x - μ) / √(σ² + ε), with μ, σ² of each channel over the batch.
// ∂L/∂x = (g - mean g - x̂ · mean (g x̂)) · weight / √(σ² + ε),  ∂L/∂weight = Σ g x̂,  ∂L/∂bias = Σ g.
//
//   *_planes    x (batch, channels, plane): NCHW, a channel of an image lies together
//   *_columns   x (rows, channels): NHWC and NC, the channels of a pixel lie together
//
// There: moments of parts of each channel (partial), finish puts them together, apply. Back: sums of
// parts (partial), sum_rows of reduction.cu puts them together, apply. A channel is cut into so many
// parts that all multiprocessors work; how many depends on the sizes alone and no atomics are used, so
// that repeated runs give the same bits.
//
//   bytes   there 3 · size · sizeof(T), back 5 ·, less what is still in L2: apply begins where
//           partial ended, so of the last 50 MB (H200) nothing is fetched again
//   why it should be as fast as memory: packs of 16 bytes, 4 or 8 on the way per thread; with the 55
//           and 104 registers of the two that take moments 36 or 16 warps: 64 kB per SM, and 30 kB
//           suffice. NCHW as well, and where a plane is no multiple of a pack: packs lie at
//           multiples of 16 bytes, whatever the plane begins with. cuDNN converts the layout there
//           (twice the time, NVIDIA/cudnn-frontend#134). Not measured yet.
#include "rows.cuh"

// Count, mean and Σ (x - mean)² of some numbers. The mean is `mean + rest`: at a mean of 10⁴ a float
// alone is off by up to 5 · 10⁻⁴, and x - mean would be.
template <class V>
struct Moments {
    V n = 0, mean = 0, rest = 0, squares = 0;

    // Those of both (Chan, Golub and LeVeque, 1983).
    __device__ __forceinline__ void merge(const Moments& other) {
        if (other.n == V(0)) return;
        if (n == V(0)) {
            *this = other;
            return;
        }
        const V total = n + other.n, share = other.n / total;
        const V d = (other.mean - mean) + (other.rest - rest), step = d * share;
        const V sum = mean + step, taken = sum - mean;
        rest += (mean - (sum - taken)) + (step - taken);  // what rounding the sum lost (Knuth)
        mean = sum;
        squares += other.squares + d * d * n * share;
        n = total;
    }
    __device__ __forceinline__ void merge_lane(int lane) {
        merge({__shfl_xor_sync(WARP, n, lane), __shfl_xor_sync(WARP, mean, lane),
               __shfl_xor_sync(WARP, rest, lane), __shfl_xor_sync(WARP, squares, lane)});
    }
};

// Moments of up to COUNT numbers, of those that `inside` says are there.
template <int COUNT, class V, class Inside>
__device__ __forceinline__ Moments<V> moments_of(const V (&x)[COUNT], Inside inside) {
    V n = 0, first = 0, sum = 0, squares = 0;
#pragma unroll
    for (int i = COUNT - 1; i >= 0; --i) {
        if (inside(i)) first = x[i];
    }
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
        if (inside(i)) n += V(1), sum += x[i] - first;
    }
    if (n == V(0)) return {};
    const V offset = sum / n;
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
        const V d = x[i] - first - offset;
        if (inside(i)) squares += d * d;
    }
    return {n, first, offset, squares};
}

constexpr int AT_ONCE = 4;  // packs of a thread on the way at a time

// The packs of one channel, numbered through all images: pack i is at number `j` of the plane `start`.
template <class T>
struct Planes {
    int channels, plane, packs, channel;

    __device__ __forceinline__ void find(const T* x, int i, int64_t& start, int& j) const {
        const int image = i / packs;
        start = (static_cast<int64_t>(image) * channels + channel) * plane;
        const int shift = plane % PACK<T> == 0 ? 0 : misalignment(x + start);
        j = (i % packs) * PACK<T> - shift;
    }
};

// partial (4, channels, parts). A block has part blockIdx.x % parts of channel blockIdx.x / parts.
template <class T>
__global__ void __launch_bounds__(256)
    batch_norm_planes(T* __restrict__ partial, const T* __restrict__ x, int channels, int plane, int packs,
                      int count, int chunk, int parts) {
    constexpr int P = PACK<T>;
    __shared__ T of_warp[4][8];
    const Planes<T> planes{channels, plane, packs, static_cast<int>(blockIdx.x) / parts};
    const int begin = static_cast<int>(blockIdx.x) % parts * chunk, end = min(begin + chunk, count);
    Moments<T> moments;
    for (int i = begin + threadIdx.x; i < end; i += AT_ONCE * blockDim.x) {
        T values[AT_ONCE * P];
        int first[AT_ONCE];
#pragma unroll
        for (int a = 0; a < AT_ONCE; ++a) {
            const int pack = i + a * blockDim.x;
            int64_t start = 0;
            first[a] = plane;  // outside
            if (pack < end) planes.find(x, pack, start, first[a]);
            const Values<T> found = read_pack(x + start, first[a], plane, T(0));
#pragma unroll
            for (int q = 0; q < P; ++q) values[a * P + q] = found.v[q];
        }
        moments.merge(moments_of(values, [&](int v) {
            const int j = first[v / P] + v % P;
            return j >= 0 && j < plane;
        }));
    }
    for (int lane = 16; lane > 0; lane /= 2) moments.merge_lane(lane);
    const int warp = threadIdx.x / 32;
    if (threadIdx.x % 32 == 0) {
        of_warp[0][warp] = moments.n;
        of_warp[1][warp] = moments.mean;
        of_warp[2][warp] = moments.rest;
        of_warp[3][warp] = moments.squares;
    }
    __syncthreads();
    if (threadIdx.x > 0) return;
    for (int other = 1; other < 8; ++other) {
        moments.merge({of_warp[0][other], of_warp[1][other], of_warp[2][other], of_warp[3][other]});
    }
    const size_t all = static_cast<size_t>(channels) * parts;  // channel · parts + part is blockIdx.x
    partial[blockIdx.x] = moments.n;
    partial[all + blockIdx.x] = moments.mean;
    partial[2 * all + blockIdx.x] = moments.rest;
    partial[3 * all + blockIdx.x] = moments.squares;
}

// A block of (x, y) threads has blockDim.x · N channels: N = a pack where pixels begin at packs, else
// 1. blockIdx.x is the tile of channels, blockIdx.y the part.
template <class T, int N>
__global__ void __launch_bounds__(256)
    batch_norm_columns(T* __restrict__ partial, const T* __restrict__ x, int64_t rows, int channels,
                       int64_t chunk) {
    constexpr int DEEP = 8;  // rows of a thread on the way at a time
    __shared__ T shared[4][256];
    const int channel = (blockIdx.x * blockDim.x + threadIdx.x) * N;
    const int inside = min(channels - channel, N);  // may be < 0
    const int64_t first = blockIdx.y * chunk, end = min(first + chunk, rows);
    Moments<T> moments[N];
    for (int64_t row = first + threadIdx.y; row < end; row += DEEP * blockDim.y) {
        T values[N][DEEP];
#pragma unroll
        for (int i = 0; i < DEEP; ++i) {
            const int64_t at = row + i * static_cast<int64_t>(blockDim.y);
            const int present = at < end ? inside : 0;
            if (N == 1) {
                values[0][i] = present > 0 ? x[at * channels + channel] : T(0);
            } else {
                const Values<T> pack = read_pack(x + at * channels + channel, 0, present, T(0));
#pragma unroll
                for (int q = 0; q < N; ++q) values[q][i] = pack.v[q];
            }
        }
#pragma unroll
        for (int q = 0; q < N; ++q) {
            moments[q].merge(moments_of(
                values[q], [&](int i) { return row + i * static_cast<int64_t>(blockDim.y) < end; }));
        }
    }
    const int thread = threadIdx.y * blockDim.x + threadIdx.x;
    const size_t all = static_cast<size_t>(channels) * gridDim.y;
#pragma unroll
    for (int q = 0; q < N; ++q) {
        __syncthreads();  // the last q has been read
        Moments<T> mine = moments[q];
        for (int half = blockDim.y; half > 0; half /= 2) {  // the upper half hands its moments down
            if (threadIdx.y >= half / 2 && threadIdx.y < half) {
                shared[0][thread] = mine.n;
                shared[1][thread] = mine.mean;
                shared[2][thread] = mine.rest;
                shared[3][thread] = mine.squares;
            }
            __syncthreads();
            const int other = thread + half / 2 * blockDim.x;
            if (threadIdx.y < half / 2) {
                mine.merge({shared[0][other], shared[1][other], shared[2][other], shared[3][other]});
            }
        }
        if (threadIdx.y > 0 || q >= inside) continue;
        T* result = partial + static_cast<size_t>(channel + q) * gridDim.y + blockIdx.y;
        result[0] = mine.n;
        result[all] = mine.mean;
        result[2 * all] = mine.rest;
        result[3 * all] = mine.squares;
    }
}

// A warp per channel puts its parts together: mean, variance (channels), and stats (3, channels): the
// mean in two, and 1 / √(σ² + ε).
template <class T>
__global__ void batch_norm_finish(T* __restrict__ mean, T* __restrict__ variance, T* __restrict__ stats,
                                  const T* __restrict__ partial, int channels, int parts, T eps) {
    const int channel = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (channel >= channels) return;  // a whole warp
    const size_t all = static_cast<size_t>(channels) * parts;
    const T* first = partial + static_cast<size_t>(channel) * parts;
    Moments<T> moments;
    for (int part = lane; part < parts; part += 32) {
        moments.merge({first[part], first[all + part], first[2 * all + part], first[3 * all + part]});
    }
    for (int step = 16; step > 0; step /= 2) moments.merge_lane(step);
    if (lane > 0) return;
    const T v = moments.squares / moments.n;
    mean[channel] = moments.mean + moments.rest;
    variance[channel] = v;
    stats[channel] = moments.mean;
    stats[channels + channel] = moments.rest;
    stats[2 * channels + channel] = T(1) / sqrt(v + eps);
}

// What is done to the numbers of one channel, there and back.
template <class T>
struct Channel {
    T mean, rest, scale, weight, bias, g_mean, slope;

    __device__ __forceinline__ T normal(T x) const { return (x - mean - rest) * scale; }
    __device__ __forceinline__ T there(T x) const { return normal(x) * weight + bias; }
    __device__ __forceinline__ T back(T x, T g) const {
        return (g - g_mean - normal(x) * slope) * (weight * scale);
    }
};

// Vectors with a number per channel: stats (3, channels), sums (2, channels) of g x̂ and of g, null on
// the way there; weight and bias may be null.
template <class T>
struct Vectors {
    const T *stats, *weight, *bias, *sums;

    __device__ __forceinline__ Channel<T> of(int c, int channels, T n) const {
        return {stats[c],
                stats[channels + c],
                stats[2 * channels + c],
                weight ? weight[c] : T(1),
                bias ? bias[c] : T(0),
                sums ? sums[channels + c] / n : T(0),
                sums ? sums[c] / n : T(0)};
    }

    // Of N neighbours, a pack or one.
    template <int N>
    __device__ __forceinline__ void of(Channel<T> (&channel)[N], int c, int channels, T n) const {
        if constexpr (N == 1) {
            channel[0] = of(c, channels, n);
        } else {
            const auto read = [&](const T* v, T fill) { return read_pack(v, c, v ? channels : 0, fill); };
            const Values<T> mean = read(stats, T(0)), rest = read(stats + channels, T(0)),
                            scale = read(stats + 2 * channels, T(0)), weights = read(weight, T(1)),
                            biases = read(bias, T(0)), slopes = read(sums, T(0)),
                            g_means = read(sums ? sums + channels : nullptr, T(0));
#pragma unroll
            for (int q = 0; q < N; ++q) {
                channel[q] = {mean.v[q],   rest.v[q],        scale.v[q],     weights.v[q],
                              biases.v[q], g_means.v[q] / n, slopes.v[q] / n};
            }
        }
    }
};

// y from x, or, where g is given, ∂L/∂x. The last part first: it is what L2 still has.
template <class T>
__global__ void __launch_bounds__(256)
    batch_norm_planes_apply(T* __restrict__ y, const T* __restrict__ x, const T* __restrict__ g,
                            const T* __restrict__ stats, const T* __restrict__ weight,
                            const T* __restrict__ bias, const T* __restrict__ sums, int channels, int plane,
                            int packs, int count, int chunk, int parts, T n) {
    const int block = gridDim.x - 1 - blockIdx.x;
    const Planes<T> planes{channels, plane, packs, block / parts};
    const Channel<T> channel = Vectors<T>{stats, weight, bias, sums}.of(planes.channel, channels, n);
    const int begin = block % parts * chunk, end = min(begin + chunk, count);
#pragma unroll 4
    for (int i = begin + threadIdx.x; i < end; i += blockDim.x) {
        int64_t start;
        int j;
        planes.find(x, i, start, j);
        Values<T> values = read_pack(x + start, j, plane, T(0));
        if (g) {
            const Values<T> gradients = read_pack(g + start, j, plane, T(0));
#pragma unroll
            for (int q = 0; q < PACK<T>; ++q) values.v[q] = channel.back(values.v[q], gradients.v[q]);
        } else {
#pragma unroll
            for (int q = 0; q < PACK<T>; ++q) values.v[q] = channel.there(values.v[q]);
        }
        write_pack(y + start, j, plane, values);
    }
}

template <class T, int N>
__global__ void __launch_bounds__(256)
    batch_norm_columns_apply(T* __restrict__ y, const T* __restrict__ x, const T* __restrict__ g,
                             const T* __restrict__ stats, const T* __restrict__ weight,
                             const T* __restrict__ bias, const T* __restrict__ sums, int64_t rows,
                             int channels, int64_t chunk) {
    const int c = (blockIdx.x * blockDim.x + threadIdx.x) * N;
    if (c >= channels) return;
    Channel<T> channel[N];
    Vectors<T>{stats, weight, bias, sums}.of(channel, c, channels, static_cast<T>(rows));
    const int64_t first = (gridDim.y - 1 - blockIdx.y) * chunk, end = min(first + chunk, rows);
#pragma unroll 4
    for (int64_t row = first + threadIdx.y; row < end; row += blockDim.y) {
        const int64_t at = row * channels + c;
        if (N == 1) {
            y[at] = g ? channel[0].back(x[at], g[at]) : channel[0].there(x[at]);
            continue;
        }
        Values<T> values = read_pack(x + at, 0, N, T(0));
        if (g) {
            const Values<T> gradients = read_pack(g + at, 0, N, T(0));
#pragma unroll
            for (int q = 0; q < N; ++q) values.v[q] = channel[q].back(values.v[q], gradients.v[q]);
        } else {
#pragma unroll
            for (int q = 0; q < N; ++q) values.v[q] = channel[q].there(values.v[q]);
        }
        write_pack(y + at, 0, N, values);
    }
}

// partial (2, channels, parts): Σ g x̂ and Σ g of part blockIdx.x % parts of channel blockIdx.x / parts.
template <class T>
__global__ void __launch_bounds__(256)
    batch_norm_planes_backward(T* __restrict__ partial, const T* __restrict__ x, const T* __restrict__ g,
                               const T* __restrict__ stats, int channels, int plane, int packs, int count,
                               int chunk, int parts) {
    const Planes<T> planes{channels, plane, packs, static_cast<int>(blockIdx.x) / parts};
    const Channel<T> channel = Vectors<T>{stats, nullptr, nullptr, nullptr}.of(planes.channel, channels, T(1));
    const int begin = static_cast<int>(blockIdx.x) % parts * chunk, end = min(begin + chunk, count);
    T along = 0, total = 0;
#pragma unroll 4
    for (int i = begin + threadIdx.x; i < end; i += blockDim.x) {
        int64_t start;
        int j;
        planes.find(x, i, start, j);
        const Values<T> values = read_pack(x + start, j, plane, channel.mean);
        const Values<T> gradients = read_pack(g + start, j, plane, T(0));  // what sticks out adds 0
#pragma unroll
        for (int q = 0; q < PACK<T>; ++q) {
            along += gradients.v[q] * channel.normal(values.v[q]);
            total += gradients.v[q];
        }
    }
    Team(256).sum(along, total);
    if (threadIdx.x > 0) return;
    partial[blockIdx.x] = along;
    partial[static_cast<size_t>(channels) * parts + blockIdx.x] = total;
}

template <class T, int N>
__global__ void __launch_bounds__(256)
    batch_norm_columns_backward(T* __restrict__ partial, const T* __restrict__ x, const T* __restrict__ g,
                                const T* __restrict__ stats, int64_t rows, int channels, int64_t chunk) {
    __shared__ T shared[2][N][256];
    const int c = (blockIdx.x * blockDim.x + threadIdx.x) * N;
    const int inside = min(channels - c, N);  // may be < 0
    const int64_t first = blockIdx.y * chunk, end = min(first + chunk, rows);
    Channel<T> channel[N];
    T along[N], total[N];
#pragma unroll
    for (int q = 0; q < N; ++q) {  // one by one: in packs, 6 registers more on sm_90a
        along[q] = total[q] = 0;
        channel[q] = Vectors<T>{stats, nullptr, nullptr, nullptr}.of(min(c + q, channels - 1), channels, T(1));
    }
#pragma unroll 4
    for (int64_t row = first + threadIdx.y; row < end; row += blockDim.y) {
        if (inside <= 0) continue;
        const int64_t at = row * channels + c;
        if (N == 1) {
            along[0] += g[at] * channel[0].normal(x[at]);
            total[0] += g[at];
            continue;
        }
        const Values<T> values = read_pack(x + at, 0, N, T(0)), gradients = read_pack(g + at, 0, N, T(0));
#pragma unroll
        for (int q = 0; q < N; ++q) {
            along[q] += gradients.v[q] * channel[q].normal(values.v[q]);
            total[q] += gradients.v[q];
        }
    }
    const int thread = threadIdx.y * blockDim.x + threadIdx.x;
#pragma unroll
    for (int q = 0; q < N; ++q) shared[0][q][thread] = along[q], shared[1][q][thread] = total[q];
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y >= half) continue;
        const int other = thread + half * blockDim.x;
#pragma unroll
        for (int q = 0; q < N; ++q) {
            shared[0][q][thread] += shared[0][q][other];
            shared[1][q][thread] += shared[1][q][other];
        }
    }
    if (threadIdx.y > 0) return;
    const size_t all = static_cast<size_t>(channels) * gridDim.y;
#pragma unroll
    for (int q = 0; q < N; ++q) {
        if (q >= inside) continue;
        const size_t place = static_cast<size_t>(c + q) * gridDim.y + blockIdx.y;
        partial[place] = shared[0][q][thread];
        partial[all + place] = shared[1][q][thread];
    }
}

MMB_KERNEL_AS(batch_norm_planes_f32, batch_norm_planes<float>);
MMB_KERNEL_AS(batch_norm_planes_f64, batch_norm_planes<double>);
MMB_KERNEL_AS(batch_norm_planes_apply_f32, batch_norm_planes_apply<float>);
MMB_KERNEL_AS(batch_norm_planes_apply_f64, batch_norm_planes_apply<double>);
MMB_KERNEL_AS(batch_norm_planes_backward_f32, batch_norm_planes_backward<float>);
MMB_KERNEL_AS(batch_norm_planes_backward_f64, batch_norm_planes_backward<double>);
MMB_KERNEL_AS(batch_norm_columns_f32, batch_norm_columns<float, 1>);
MMB_KERNEL_AS(batch_norm_columns_f64, batch_norm_columns<double, 1>);
MMB_KERNEL_AS(batch_norm_columns_apply_f32, batch_norm_columns_apply<float, 1>);
MMB_KERNEL_AS(batch_norm_columns_apply_f64, batch_norm_columns_apply<double, 1>);
MMB_KERNEL_AS(batch_norm_columns_backward_f32, batch_norm_columns_backward<float, 1>);
MMB_KERNEL_AS(batch_norm_columns_backward_f64, batch_norm_columns_backward<double, 1>);
MMB_KERNEL_AS(batch_norm_columns_packed_f32, batch_norm_columns<float, 4>);
MMB_KERNEL_AS(batch_norm_columns_packed_f64, batch_norm_columns<double, 2>);
MMB_KERNEL_AS(batch_norm_columns_packed_apply_f32, batch_norm_columns_apply<float, 4>);
MMB_KERNEL_AS(batch_norm_columns_packed_apply_f64, batch_norm_columns_apply<double, 2>);
MMB_KERNEL_AS(batch_norm_columns_packed_backward_f32, batch_norm_columns_backward<float, 4>);
MMB_KERNEL_AS(batch_norm_columns_packed_backward_f64, batch_norm_columns_backward<double, 2>);
MMB_KERNEL_AS(batch_norm_finish_f32, batch_norm_finish<float>);
MMB_KERNEL_AS(batch_norm_finish_f64, batch_norm_finish<double>);
