// y = ln Σⱼ exp xⱼ = m + ln Σⱼ exp(xⱼ - m),  m = max x;   ∂L/∂x = g · exp(x - y).
//
//   logsumexp_rows      over the last dimension: x (rows, cols), contiguous, any cols → y (rows)
//   logsumexp_columns   over another: x (outer, n, inner) → y (outer, inner)
//   grid, block         rows: a team per row, see rows.cuh; columns: a thread per column
//   bytes               rows · cols · sizeof(T) from DRAM; backward 2 ·
#include "rows.cuh"

template <class V>
__device__ __forceinline__ V finite_or_zero(V m) {  // what is subtracted: ∞ - ∞ would be NaN
    return m - m == V(0) ? m : V(0);
}

template <class T, int K>
__global__ void __launch_bounds__(K == 1 ? 128 : 1024)
    logsumexp_rows(T* __restrict__ y, const T* __restrict__ x, int rows, int cols, int team_size, int slots) {
    using V = computed_t<T>;
    MMB_DYNAMIC_SHARED(Slot<T>, more);
    const Team team(team_size);
    const bool live = team.row() < rows;  // the last block may have more teams than rows
    const size_t start = live ? team.row() * cols : 0;
    const Span span(team, live ? cols : 0, misalignment(x + start));
    const Row<T, K> row(x + start, span, -INFINITY, more, slots);

    V m = -INFINITY;
    row.each([&](int, V x) { m = larger(m, x); });
    const V shift = finite_or_zero(team.max(m));
    V s = 0;
    row.each([&](int, V x) { s += exponential<T>(x - shift); });
    s = team.sum(s);
    if (live && team.rank == 0) y[team.row()] = narrow<T>(shift + log(s));
}

template <class T>
__global__ void logsumexp_columns(T* __restrict__ y, const T* __restrict__ x, int64_t columns, int n,
                                  int64_t inner) {
    using V = computed_t<T>;
    const int64_t column = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (column >= columns) return;
    const int64_t start = column / inner * n * inner + column % inner;
    V m = -INFINITY, s = 0;
    for (int j = 0; j < n; ++j) m = larger(m, V(widen(x[start + j * inner])));
    const V shift = finite_or_zero(m);
    for (int j = 0; j < n; ++j) s += exponential<T>(widen(x[start + j * inner]) - shift);
    y[column] = narrow<T>(shift + log(s));
}

// x, dx (outer, n, inner); g, y (outer, inner)
template <class T>
__global__ void logsumexp_backward(T* __restrict__ dx, const T* __restrict__ g, const T* __restrict__ x,
                                   const T* __restrict__ y, int64_t count, int64_t n, int64_t inner) {
    const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) {
        const int64_t column = i / (n * inner) * inner + i % inner;
        dx[i] = narrow<T>(widen(g[column]) * exponential<T>(widen(x[i]) - widen(y[column])));
    }
}

// short: one pack per thread; long: as many as 64 registers hold. launch/rows.py chooses.
MMB_KERNEL_AS(logsumexp_rows_short_f32, logsumexp_rows<float, 1>);
MMB_KERNEL_AS(logsumexp_rows_long_f32, logsumexp_rows<float, 8>);
MMB_KERNEL_AS(logsumexp_rows_short_f64, logsumexp_rows<double, 1>);
MMB_KERNEL_AS(logsumexp_rows_long_f64, logsumexp_rows<double, 4>);
MMB_KERNEL_AS(logsumexp_rows_short_f16, logsumexp_rows<__half, 1>);
MMB_KERNEL_AS(logsumexp_rows_long_f16, logsumexp_rows<__half, 2>);
MMB_KERNEL_AS(logsumexp_columns_f32, logsumexp_columns<float>);
MMB_KERNEL_AS(logsumexp_columns_f64, logsumexp_columns<double>);
MMB_KERNEL_AS(logsumexp_columns_f16, logsumexp_columns<__half>);
MMB_KERNEL_AS(logsumexp_backward_f32, logsumexp_backward<float>);
MMB_KERNEL_AS(logsumexp_backward_f64, logsumexp_backward<double>);
MMB_KERNEL_AS(logsumexp_backward_f16, logsumexp_backward<__half>);
