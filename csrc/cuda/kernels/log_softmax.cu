// y = log softmax(x),  yⱼ = xⱼ - m - ln Σₖ exp(xₖ - m),  m = max x;   ∂L/∂x = g - exp(y) · Σ g.
//
//   log_softmax_rows      over the last dimension: x, y (rows, cols), contiguous, any cols
//   log_softmax_columns   over another: x, y (outer, n, inner)
//   grid, block           rows: a team per row, see rows.cuh; columns: a thread per column
//   bytes                 2 · rows · cols · sizeof(T); backward 3 ·
//
// As softmax.cu, and as fast: what is kept on the chip is the same. Not measured yet.
#include "online.cuh"

template <class T, int K>
__global__ void __launch_bounds__(K == 1 ? 128 : 1024)
    log_softmax_rows(T* __restrict__ y, const T* __restrict__ x, int rows, int cols, int team_size, int slots) {
    using V = computed_t<T>;
    MMB_DYNAMIC_SHARED(Slot<T>, more);
    const Team team(team_size);
    const bool live = team.row() < rows;  // the last block may have more teams than rows
    const size_t start = live ? team.row() * cols : 0;
    const Span span(team, live ? cols : 0, misalignment(x + start));
    const Row<T, K> row(x + start, span, -INFINITY, more, slots);

    V m = -INFINITY;
    row.each([&](int, V x) { m = fmax(m, x); });
    m = team.max(m);
    V s = 0;
    row.each([&](int, V x) { s += exponential<T>(x - m); });
    const V log_s = log(team.sum(s));
    row.write(y + start, [&](int, V x) { return x - m - log_s; });  // x - m is exact near the top
}

template <class T, int K>
__global__ void __launch_bounds__(K == 1 ? 128 : 1024)
    log_softmax_rows_backward(T* __restrict__ dx, const T* __restrict__ g, const T* __restrict__ y, int rows,
                              int cols, int team_size) {
    using V = computed_t<T>;
    const Team team(team_size);
    const bool live = team.row() < rows;
    const size_t start = live ? team.row() * cols : 0;
    const Span span(team, live ? cols : 0, misalignment(g + start));
    const Row<T, K> gradients(g + start, span, 0, nullptr, 0);
    const Streamed<T> logarithms{y + start, span, 0};  // used once, so read where it is used

    V total = 0;
    gradients.each([&](int, V g) { total += g; });
    total = team.sum(total);
    gradients.write(dx + start, [&](int, V g, V y) { return g - exponential<T>(y) * total; }, logarithms);
}

// x[outer, :, inner]: neighbouring threads have neighbouring inner, so that reads are coalesced.
template <class T>
__global__ void log_softmax_columns(T* __restrict__ y, const T* __restrict__ x, int64_t columns, int n,
                                    int64_t inner) {
    const int64_t column = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (column >= columns) return;
    const int64_t start = column / inner * n * inner + column % inner;
    OnlineSum<T> total;
    for (int j = 0; j < n; ++j) total.add(widen(x[start + j * inner]));
    const computed_t<T> log_s = log(total.sum);
    for (int j = 0; j < n; ++j) {
        y[start + j * inner] = narrow<T>(widen(x[start + j * inner]) - total.largest - log_s);
    }
}

template <class T>
__global__ void log_softmax_columns_backward(T* __restrict__ dx, const T* __restrict__ g,
                                             const T* __restrict__ y, int64_t columns, int n, int64_t inner) {
    const int64_t column = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (column >= columns) return;
    const int64_t start = column / inner * n * inner + column % inner;
    computed_t<T> total = 0;
    for (int j = 0; j < n; ++j) total += widen(g[start + j * inner]);
    for (int j = 0; j < n; ++j) {
        const int64_t i = start + j * inner;
        dx[i] = narrow<T>(widen(g[i]) - exponential<T>(widen(y[i])) * total);
    }
}

// short: one pack per thread; long: as many as 64 registers hold. launch/rows.py chooses.
MMB_KERNEL_AS(log_softmax_rows_short_f32, log_softmax_rows<float, 1>);
MMB_KERNEL_AS(log_softmax_rows_long_f32, log_softmax_rows<float, 8>);
MMB_KERNEL_AS(log_softmax_rows_short_f64, log_softmax_rows<double, 1>);
MMB_KERNEL_AS(log_softmax_rows_long_f64, log_softmax_rows<double, 4>);
MMB_KERNEL_AS(log_softmax_rows_short_f16, log_softmax_rows<__half, 1>);
MMB_KERNEL_AS(log_softmax_rows_long_f16, log_softmax_rows<__half, 4>);
MMB_KERNEL_AS(log_softmax_rows_backward_short_f32, log_softmax_rows_backward<float, 1>);
MMB_KERNEL_AS(log_softmax_rows_backward_long_f32, log_softmax_rows_backward<float, 8>);
MMB_KERNEL_AS(log_softmax_rows_backward_short_f64, log_softmax_rows_backward<double, 1>);
MMB_KERNEL_AS(log_softmax_rows_backward_long_f64, log_softmax_rows_backward<double, 4>);
MMB_KERNEL_AS(log_softmax_rows_backward_short_f16, log_softmax_rows_backward<__half, 1>);
MMB_KERNEL_AS(log_softmax_rows_backward_long_f16, log_softmax_rows_backward<__half, 4>);
MMB_KERNEL_AS(log_softmax_columns_f32, log_softmax_columns<float>);
MMB_KERNEL_AS(log_softmax_columns_f64, log_softmax_columns<double>);
MMB_KERNEL_AS(log_softmax_columns_f16, log_softmax_columns<__half>);
MMB_KERNEL_AS(log_softmax_columns_backward_f32, log_softmax_columns_backward<float>);
MMB_KERNEL_AS(log_softmax_columns_backward_f64, log_softmax_columns_backward<double>);
MMB_KERNEL_AS(log_softmax_columns_backward_f16, log_softmax_columns_backward<__half>);
