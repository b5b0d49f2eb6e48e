// y = Σ x / divisor, max x or min x over some dimensions, and where the largest or smallest is.
//
// Any reduction is a sequence of two kinds, of the neighbouring dimensions that it runs over:
//
//   <op>_rows      x (rows, cols) → y (rows, splits): a team per part of a row, see rows.cuh
//   <op>_columns   x (outer, n, inner) → y (outer, splits, inner): a block has a few columns and
//                  walks down them; its threads in y then add up what each has found
//
// Where rows are few and long, or columns few and high, each is cut into parts of `chunk` numbers,
// so that all multiprocessors work, and a second launch puts the parts together. How many parts
// depends on the sizes alone, and no atomics are used: every run, on every GPU, gives the same bits.
//
//   bytes   x once; four loads of 16 bytes per thread on the way at a time: 32 warps of them make
//           64 kB per SM, and 30 kB suffice for 4.3 TB/s at 0.8 µs. Not measured yet; 97 % of the
//           bandwidth of an H100 is what fast.cu reports for a sum built like this.
//   NaN     is the largest and the smallest, and the first one is where they are, as in NumPy.
#include "rows.cuh"

struct Sum {
    template <class V>
    static __device__ __forceinline__ V none() { return 0; }
    template <class V>
    static __device__ __forceinline__ V of(V a, V b) { return a + b; }
};
struct Max {
    template <class V>
    static __device__ __forceinline__ V none() { return -INFINITY; }
    template <class V>
    static __device__ __forceinline__ V of(V a, V b) { return larger(a, b); }
};
struct Min {
    template <class V>
    static __device__ __forceinline__ V none() { return INFINITY; }
    template <class V>
    static __device__ __forceinline__ V of(V a, V b) { return a < b || a != a ? a : b; }
};

// The result over a team, in all of its threads.
template <class Op, class V>
__device__ __forceinline__ V over_team(const Team& team, V v) {
    __shared__ V partial[32];
    const int width = team.size < 32 ? team.size : 32;
    for (int lane = width / 2; lane > 0; lane /= 2) v = Op::of(v, __shfl_xor_sync(WARP, v, lane));
    if (team.size <= 32) return v;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    if (lane == 0) partial[warp] = v;
    __syncthreads();
    v = lane < blockDim.x / 32 ? partial[lane] : Op::template none<V>();
    for (int lane = 16; lane > 0; lane /= 2) v = Op::of(v, __shfl_xor_sync(WARP, v, lane));
    return v;
}

constexpr int AT_ONCE = 4;  // loads of a thread on the way at a time

// blockIdx.y is the part of the row
template <class Op, class T, class Out>
__global__ void reduce_rows(Out* __restrict__ y, const T* __restrict__ x, int64_t rows, int64_t cols,
                            int64_t chunk, computed_t<T> divisor, int team_size) {
    using V = computed_t<T>;
    const Team team(team_size);
    const bool live = team.row() < rows;
    const int64_t row = live ? team.row() : 0, first = blockIdx.y * chunk;
    const int n = static_cast<int>(min(chunk, cols - first));
    const T* part = x + row * cols + first;
    const Span span(team, live ? n : 0, misalignment(part));
    V total = Op::template none<V>();
    for (int k = 0; span.reaches<T>(k); k += AT_ONCE) {
        Values<T> values[AT_ONCE];
#pragma unroll
        for (int i = 0; i < AT_ONCE; ++i) {
            values[i] = read_pack(part, span.at<T>(k + i), span.cols, Op::template none<V>());
        }
#pragma unroll
        for (int i = 0; i < AT_ONCE; ++i) {
#pragma unroll
            for (int q = 0; q < PACK<T>; ++q) total = Op::of(total, values[i].v[q]);
        }
    }
    total = over_team<Op>(team, total);
    if (live && team.rank == 0) y[row * gridDim.y + blockIdx.y] = narrow<Out>(total / divisor);
}

// A block of (x, y) threads has blockDim.x · N columns: N = a pack where rows of x begin at packs,
// else 1. blockIdx.x is the tile of columns of one outer, blockIdx.y the part of n.
template <class Op, class T, class Out, int N>
__global__ void __launch_bounds__(256)
    reduce_columns(Out* __restrict__ y, const T* __restrict__ x, int64_t n, int64_t inner, int64_t chunk,
                   computed_t<T> divisor, int tiles) {
    using V = computed_t<T>;
    __shared__ V partial[N][256];
    const int64_t outer = blockIdx.x / tiles, first = blockIdx.y * chunk;
    const int64_t column = (static_cast<int64_t>(blockIdx.x % tiles) * blockDim.x + threadIdx.x) * N;
    const int64_t end = min(first + chunk, n);
    const T* top = x + outer * n * inner + column;
    const int inside = static_cast<int>(min(inner - column, static_cast<int64_t>(N)));  // may be < 0
    V total[N];
#pragma unroll
    for (int q = 0; q < N; ++q) total[q] = Op::template none<V>();
    for (int64_t j = first + threadIdx.y; j < end; j += AT_ONCE * blockDim.y) {
        V values[AT_ONCE][N];
#pragma unroll
        for (int i = 0; i < AT_ONCE; ++i) {
            const int64_t row = j + i * static_cast<int64_t>(blockDim.y);
            const int present = row < end ? inside : 0;
            if (N == 1) {
                values[i][0] = present > 0 ? V(widen(top[row * inner])) : Op::template none<V>();
            } else {
                const Values<T> pack = read_pack(top + row * inner, 0, present, Op::template none<V>());
#pragma unroll
                for (int q = 0; q < N; ++q) values[i][q] = pack.v[q];
            }
        }
#pragma unroll
        for (int i = 0; i < AT_ONCE; ++i) {
#pragma unroll
            for (int q = 0; q < N; ++q) total[q] = Op::of(total[q], values[i][q]);
        }
    }
    const int thread = threadIdx.y * blockDim.x + threadIdx.x;
#pragma unroll
    for (int q = 0; q < N; ++q) partial[q][thread] = total[q];
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) {
#pragma unroll
            for (int q = 0; q < N; ++q) {
                partial[q][thread] = Op::of(partial[q][thread], partial[q][thread + half * blockDim.x]);
            }
        }
    }
    if (threadIdx.y > 0) return;
    Out* result = y + (outer * gridDim.y + blockIdx.y) * inner + column;
    if constexpr (N > 1) {
        constexpr int P = N < PACK<Out> ? N : PACK<Out>;  // numbers of one store
        using Store = Pack<Out, P>;
        if (inside == N && reinterpret_cast<uintptr_t>(result) % sizeof(Store) == 0) {
#pragma unroll
            for (int q = 0; q < N; q += P) {
                Store store;
#pragma unroll
                for (int p = 0; p < P; ++p) store.v[p] = narrow<Out>(partial[q + p][thread] / divisor);
                store_whole(reinterpret_cast<Store*>(result + q), store);
            }
            return;
        }
    }
#pragma unroll
    for (int q = 0; q < N; ++q) {
        if (q < inside) result[q] = narrow<Out>(partial[q][thread] / divisor);
    }
}

// The better of two candidates: NaN, then the larger (or smaller), then the earlier.
template <bool LARGEST, class V>
struct Candidate {
    V value;
    int64_t index;  // -1: none yet

    __device__ __forceinline__ void meet(V other, int64_t at) {
        if (at < 0) return;
        const bool mine = value != value, theirs = other != other;
        const bool beats = LARGEST ? other > value : other < value;
        const bool same = mine ? theirs : other == value;
        if (index < 0 || (theirs && !mine) || (beats && !mine) || (same && at < index)) {
            value = other;
            index = at;
        }
    }
    __device__ __forceinline__ void meet_lane(int lane) {
        const V other = __shfl_xor_sync(WARP, value, lane);
        const int64_t at = __shfl_xor_sync(WARP, index, lane);
        meet(other, at);
    }
    __device__ __forceinline__ void over_team(const Team& team) {
        __shared__ V values[32];
        __shared__ int64_t indices[32];
        for (int lane = min(team.size, 32) / 2; lane > 0; lane /= 2) meet_lane(lane);
        if (team.size <= 32) return;
        const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        if (lane == 0) {
            values[warp] = value;
            indices[warp] = index;
        }
        __syncthreads();
        const bool there = lane < blockDim.x / 32;
        index = there ? indices[lane] : -1;
        value = there ? values[lane] : V(0);
        for (int lane = 16; lane > 0; lane /= 2) meet_lane(lane);
    }
};

// where, value (rows, splits), either may be null; `known`, if not null, is where each x came from
template <bool LARGEST, class T>
__global__ void find_in_rows(int64_t* __restrict__ where, T* __restrict__ value, const T* __restrict__ x,
                             const int64_t* __restrict__ known, int64_t rows, int64_t cols, int64_t chunk,
                             int team_size) {
    using V = computed_t<T>;
    const Team team(team_size);
    const bool live = team.row() < rows;
    const int64_t row = live ? team.row() : 0, first = blockIdx.y * chunk;
    const int n = static_cast<int>(min(chunk, cols - first));
    const T* part = x + row * cols + first;
    const Span span(team, live ? n : 0, misalignment(part));
    Candidate<LARGEST, V> best{0, -1};
    for (int k = 0; span.reaches<T>(k); ++k) {
        const int j = span.at<T>(k);
        const Values<T> pack = read_pack(part, j, span.cols, V(0));
#pragma unroll
        for (int q = 0; q < PACK<T>; ++q) {
            if (j + q < 0 || j + q >= span.cols) continue;
            best.meet(pack.v[q], known ? known[row * cols + first + j + q] : first + j + q);
        }
    }
    best.over_team(team);
    if (!live || team.rank > 0) return;
    if (where) where[row * gridDim.y + blockIdx.y] = best.index;
    if (value) value[row * gridDim.y + blockIdx.y] = narrow<T>(best.value);
}

// x (outer, n, inner), a thread per column
template <bool LARGEST, class T>
__global__ void find_in_columns(int64_t* __restrict__ where, T* __restrict__ value, const T* __restrict__ x,
                                int64_t columns, int64_t n, int64_t inner) {
    const int64_t column = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (column >= columns) return;
    const T* top = x + column / inner * n * inner + column % inner;
    Candidate<LARGEST, computed_t<T>> best{0, -1};
    for (int64_t j = 0; j < n; ++j) best.meet(widen(top[j * inner]), j);
    if (where) where[column] = best.index;
    if (value) value[column] = narrow<T>(best.value);
}

// sum_*_f16_f32: a part of a sum of float16, which another launch goes on with
MMB_KERNEL_AS(sum_rows_f32, reduce_rows<Sum, float, float>);
MMB_KERNEL_AS(sum_rows_f64, reduce_rows<Sum, double, double>);
MMB_KERNEL_AS(sum_rows_f16, reduce_rows<Sum, __half, __half>);
MMB_KERNEL_AS(sum_rows_f16_f32, reduce_rows<Sum, __half, float>);
MMB_KERNEL_AS(sum_rows_f32_f16, reduce_rows<Sum, float, __half>);
MMB_KERNEL_AS(max_rows_f32, reduce_rows<Max, float, float>);
MMB_KERNEL_AS(max_rows_f64, reduce_rows<Max, double, double>);
MMB_KERNEL_AS(max_rows_f16, reduce_rows<Max, __half, __half>);
MMB_KERNEL_AS(min_rows_f32, reduce_rows<Min, float, float>);
MMB_KERNEL_AS(min_rows_f64, reduce_rows<Min, double, double>);
MMB_KERNEL_AS(min_rows_f16, reduce_rows<Min, __half, __half>);

MMB_KERNEL_AS(sum_columns_f32, reduce_columns<Sum, float, float, 1>);
MMB_KERNEL_AS(sum_columns_f64, reduce_columns<Sum, double, double, 1>);
MMB_KERNEL_AS(sum_columns_f16, reduce_columns<Sum, __half, __half, 1>);
MMB_KERNEL_AS(sum_columns_f16_f32, reduce_columns<Sum, __half, float, 1>);
MMB_KERNEL_AS(sum_columns_f32_f16, reduce_columns<Sum, float, __half, 1>);
MMB_KERNEL_AS(max_columns_f32, reduce_columns<Max, float, float, 1>);
MMB_KERNEL_AS(max_columns_f64, reduce_columns<Max, double, double, 1>);
MMB_KERNEL_AS(max_columns_f16, reduce_columns<Max, __half, __half, 1>);
MMB_KERNEL_AS(min_columns_f32, reduce_columns<Min, float, float, 1>);
MMB_KERNEL_AS(min_columns_f64, reduce_columns<Min, double, double, 1>);
MMB_KERNEL_AS(min_columns_f16, reduce_columns<Min, __half, __half, 1>);
MMB_KERNEL_AS(sum_columns_packed_f32, reduce_columns<Sum, float, float, 4>);
MMB_KERNEL_AS(sum_columns_packed_f64, reduce_columns<Sum, double, double, 2>);
MMB_KERNEL_AS(sum_columns_packed_f16, reduce_columns<Sum, __half, __half, 8>);
MMB_KERNEL_AS(sum_columns_packed_f16_f32, reduce_columns<Sum, __half, float, 8>);
MMB_KERNEL_AS(sum_columns_packed_f32_f16, reduce_columns<Sum, float, __half, 4>);
MMB_KERNEL_AS(max_columns_packed_f32, reduce_columns<Max, float, float, 4>);
MMB_KERNEL_AS(max_columns_packed_f64, reduce_columns<Max, double, double, 2>);
MMB_KERNEL_AS(max_columns_packed_f16, reduce_columns<Max, __half, __half, 8>);
MMB_KERNEL_AS(min_columns_packed_f32, reduce_columns<Min, float, float, 4>);
MMB_KERNEL_AS(min_columns_packed_f64, reduce_columns<Min, double, double, 2>);
MMB_KERNEL_AS(min_columns_packed_f16, reduce_columns<Min, __half, __half, 8>);

MMB_KERNEL_AS(argmax_rows_f32, find_in_rows<true, float>);
MMB_KERNEL_AS(argmax_rows_f64, find_in_rows<true, double>);
MMB_KERNEL_AS(argmax_rows_f16, find_in_rows<true, __half>);
MMB_KERNEL_AS(argmin_rows_f32, find_in_rows<false, float>);
MMB_KERNEL_AS(argmin_rows_f64, find_in_rows<false, double>);
MMB_KERNEL_AS(argmin_rows_f16, find_in_rows<false, __half>);
MMB_KERNEL_AS(argmax_columns_f32, find_in_columns<true, float>);
MMB_KERNEL_AS(argmax_columns_f64, find_in_columns<true, double>);
MMB_KERNEL_AS(argmax_columns_f16, find_in_columns<true, __half>);
MMB_KERNEL_AS(argmin_columns_f32, find_in_columns<false, float>);
MMB_KERNEL_AS(argmin_columns_f64, find_in_columns<false, double>);
MMB_KERNEL_AS(argmin_columns_f16, find_in_columns<false, __half>);
