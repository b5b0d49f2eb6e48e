// y = softmax(x),  yⱼ = exp(xⱼ - m) / Σₖ exp(xₖ - m),  m = max x;   ∂L/∂x = y · (g - Σ g y).
//
//   softmax_rows      over the last dimension: x, y (rows, cols), contiguous, any cols
//   softmax_columns   over another: x, y (outer, n, inner)
//   grid, block       rows: a team per row, see rows.cuh; columns: a thread per column
//   bytes             2 · rows · cols · sizeof(T); backward 3 ·
//
// Why it should be as fast as a copy: a row is read once and written once, in packs of 16 bytes; at
// most 64 registers (K = 8 packs of float: 32 of them) leave 32 warps on an SM, each with up to 4 kB
// of loads on the way: 128 kB, and 30 kB suffice for 4.3 TB/s at 0.8 µs. Two expf a number are some
// 25 instructions; 132 SMs have time for 55. A second row shares the SM up to 44,000 floats (half of
// it in shared memory), so that one loads while the other stores. Not measured yet.
#include "online.cuh"

template <class T, int K>
__global__ void __launch_bounds__(K == 1 ? 128 : 1024)
    softmax_rows(T* __restrict__ y, const T* __restrict__ x, int rows, int cols, int team_size, int slots) {
    using V = computed_t<T>;
    MMB_DYNAMIC_SHARED(Slot<T>, more);
    const Team team(team_size);
    const bool live = team.row() < rows;  // the last block may have more teams than rows
    const size_t start = live ? team.row() * cols : 0;
    const Span span(team, live ? cols : 0, misalignment(x + start));
    const Row<T, K> row(x + start, span, -INFINITY, more, slots);

    V m = -INFINITY;  // exp(x - max) cannot overflow
    row.each([&](int, V x) { m = fmax(m, x); });
    m = team.max(m);
    V s = 0;
    row.each([&](int, V x) { s += exponential<T>(x - m); });  // NaN is left out of m, not of s
    const V scale = V(1) / team.sum(s);
    row.write(y + start, [&](int, V x) { return exponential<T>(x - m) * scale; });
}

template <class T, int K>
__global__ void __launch_bounds__(K == 1 ? 128 : 1024)
    softmax_rows_backward(T* __restrict__ dx, const T* __restrict__ g, const T* __restrict__ y, int rows,
                          int cols, int team_size) {
    using V = computed_t<T>;
    const Team team(team_size);
    const bool live = team.row() < rows;
    const size_t start = live ? team.row() * cols : 0;
    const Span span(team, live ? cols : 0, misalignment(y + start));
    const Row<T, K> probabilities(y + start, span, 0, nullptr, 0), gradients(g + start, span, 0, nullptr, 0);

    V dot = 0;
    probabilities.each([&](int, V y, V g) { dot += g * y; }, gradients);
    dot = team.sum(dot);
    probabilities.write(dx + start, [&](int, V y, V g) { return y * (g - dot); }, gradients);
}

// x[outer, :, inner]: neighbouring threads have neighbouring inner, so that reads are coalesced.
template <class T>
__global__ void softmax_columns(T* __restrict__ y, const T* __restrict__ x, int64_t columns, int n,
                                int64_t inner) {
    const int64_t column = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (column >= columns) return;
    const int64_t start = column / inner * n * inner + column % inner;
    OnlineSum<T> total;
    for (int j = 0; j < n; ++j) total.add(widen(x[start + j * inner]));
    const computed_t<T> scale = computed_t<T>(1) / total.sum;
    for (int j = 0; j < n; ++j) {
        const computed_t<T> v = widen(x[start + j * inner]);
        y[start + j * inner] = narrow<T>(exponential<T>(v - total.largest) * scale);
    }
}

template <class T>
__global__ void softmax_columns_backward(T* __restrict__ dx, const T* __restrict__ g, const T* __restrict__ y,
                                         int64_t columns, int n, int64_t inner) {
    const int64_t column = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (column >= columns) return;
    const int64_t start = column / inner * n * inner + column % inner;
    computed_t<T> dot = 0;
    for (int j = 0; j < n; ++j) dot += widen(g[start + j * inner]) * widen(y[start + j * inner]);
    for (int j = 0; j < n; ++j) {
        const int64_t i = start + j * inner;
        dx[i] = narrow<T>(widen(y[i]) * (widen(g[i]) - dot));
    }
}

// short: one pack per thread; long: as many as 64 registers hold. launch/rows.py chooses.
MMB_KERNEL_AS(softmax_rows_short_f32, softmax_rows<float, 1>);
MMB_KERNEL_AS(softmax_rows_long_f32, softmax_rows<float, 8>);
MMB_KERNEL_AS(softmax_rows_short_f64, softmax_rows<double, 1>);
MMB_KERNEL_AS(softmax_rows_long_f64, softmax_rows<double, 4>);
MMB_KERNEL_AS(softmax_rows_short_f16, softmax_rows<__half, 1>);
MMB_KERNEL_AS(softmax_rows_long_f16, softmax_rows<__half, 4>);
MMB_KERNEL_AS(softmax_rows_short_bf16, softmax_rows<__nv_bfloat16, 1>);
MMB_KERNEL_AS(softmax_rows_long_bf16, softmax_rows<__nv_bfloat16, 4>);
MMB_KERNEL_AS(softmax_rows_backward_short_f32, softmax_rows_backward<float, 1>);
MMB_KERNEL_AS(softmax_rows_backward_long_f32, softmax_rows_backward<float, 4>);
MMB_KERNEL_AS(softmax_rows_backward_short_f64, softmax_rows_backward<double, 1>);
MMB_KERNEL_AS(softmax_rows_backward_long_f64, softmax_rows_backward<double, 4>);
MMB_KERNEL_AS(softmax_rows_backward_short_f16, softmax_rows_backward<__half, 1>);
MMB_KERNEL_AS(softmax_rows_backward_long_f16, softmax_rows_backward<__half, 2>);
MMB_KERNEL_AS(softmax_columns_f32, softmax_columns<float>);
MMB_KERNEL_AS(softmax_columns_f64, softmax_columns<double>);
MMB_KERNEL_AS(softmax_columns_f16, softmax_columns<__half>);
MMB_KERNEL_AS(softmax_columns_backward_f32, softmax_columns_backward<float>);
MMB_KERNEL_AS(softmax_columns_backward_f64, softmax_columns_backward<double>);
MMB_KERNEL_AS(softmax_columns_backward_f16, softmax_columns_backward<__half>);
