// Softmax-cross-entropy, loss and gradient in one kernel. With m = max x, s = Σₖ exp(xₖ - m):
//
//   loss  = w · (ln s + m - x[t])
//   ∂x[k] = w · g · (exp(x[k] - m) / s - [k = t])
//
//   cross_entropy_rows      x, dx (rows, cols): one sample a row, any cols; loss, t, w, g (rows)
//   cross_entropy_columns   x, dx (outer, n, inner): classes in the middle; the others (outer, inner)
//   loss, dx, w, g          may each be null: not asked for, and 1
//   grid, block             rows: a team per row, see rows.cuh; columns: a thread per column
//
// Training calls it twice. Forward knows no g and writes the gradient for g = `expected`, which is
// 1 / samples, as the mean of the losses gives; backward gets g, and works on those rows alone that
// got another. A mean so costs one reading of the logits and one writing of the gradient; a sum, or
// a mean weighted by class, twice that.
//
//   bytes   mean: 2 · rows · cols · sizeof(T) there and back. PyTorch eager moves 6 (log-softmax r w,
//           NLL's gradient w, that of log-softmax r r w), which is where a factor of 2.5 comes from.
//   why 92 % of a copy: rows lie in registers, or half in shared memory, up to 44,000 floats with two
//           rows on an SM, and up to 90,000 with one: see softmax.cu. Not measured yet.
//
// 16-bit logits: forward writes no gradient (times 1 / samples it would leave the range of float16,
// and come back as 0 for a sum); backward computes all rows: 3 · rows · cols · 2 bytes.
#include "online.cuh"

template <class T>
struct Sample {  // what one row or column has besides its logits
    using V = computed_t<T>;
    int64_t t;
    V weight, scale;
    bool wanted;

    __device__ __forceinline__ Sample(const int64_t* t, const T* w, const T* g, V expected, int64_t i, int n)
        : t(t[i]), weight(w ? widen(w[i]) : V(1)), scale(weight * (g ? widen(g[i]) : expected)),
          wanted(!g || widen(g[i]) != expected) {
        if (this->t < 0 || this->t >= n) scale = weight = NAN;  // a class that is not there: no number
    }
    __device__ __forceinline__ V loss(const T* x, int64_t stride, V m, V s) const {
        if (weight != weight) return NAN;
        return -weight * (widen(x[t * stride]) - m - log(s));
    }
    __device__ __forceinline__ V gradient(int64_t k, V probability) const {
        return (probability - (k == t ? V(1) : V(0))) * scale;
    }
};

template <class T, int K>
__global__ void __launch_bounds__(K == 1 ? 128 : 1024)
    cross_entropy_rows(T* __restrict__ loss, T* __restrict__ dx, const T* __restrict__ x,
                       const int64_t* __restrict__ t, const T* __restrict__ w, const T* __restrict__ g,
                       computed_t<T> expected, int rows, int cols, int team_size, int slots) {
    using V = computed_t<T>;
    MMB_DYNAMIC_SHARED(Slot<T>, more);
    const Team team(team_size);
    const bool exists = team.row() < rows;  // the last block may have more teams than rows
    const size_t row = exists ? team.row() : 0, start = row * cols;
    const Sample<T> sample(t, w, g, expected, row, cols);
    const bool live = exists && sample.wanted;
    const Span span(team, live ? cols : 0, misalignment(x + start));
    const Row<T, K> logits(x + start, span, -INFINITY, more, slots);

    V m = -INFINITY;  // exp(x - max) cannot overflow
    logits.each([&](int, V x) { m = fmax(m, x); });
    m = team.max(m);
    V s = 0;
    logits.each([&](int, V x) { s += exponential<T>(x - m); });
    s = team.sum(s);
    if (loss && live && team.rank == 0) loss[row] = narrow<T>(sample.loss(x + start, 1, m, s));
    if (!dx) return;
    const V inverse = V(1) / s;
    logits.write(dx + start, [&](int k, V x) { return sample.gradient(k, exponential<T>(x - m) * inverse); });
}

template <class T>
__global__ void cross_entropy_columns(T* __restrict__ loss, T* __restrict__ dx, const T* __restrict__ x,
                                      const int64_t* __restrict__ t, const T* __restrict__ w,
                                      const T* __restrict__ g, computed_t<T> expected, int64_t columns, int n,
                                      int64_t inner) {
    using V = computed_t<T>;
    const int64_t column = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (column >= columns) return;
    const Sample<T> sample(t, w, g, expected, column, n);
    if (!sample.wanted) return;
    const int64_t start = column / inner * n * inner + column % inner;
    OnlineSum<T> total;
    for (int k = 0; k < n; ++k) total.add(widen(x[start + k * inner]));
    if (loss) loss[column] = narrow<T>(sample.loss(x + start, inner, total.largest, total.sum));
    if (!dx) return;
    const V inverse = V(1) / total.sum;
    for (int k = 0; k < n; ++k) {
        const V p = exponential<T>(widen(x[start + k * inner]) - total.largest) * inverse;
        dx[start + k * inner] = narrow<T>(sample.gradient(k, p));
    }
}

// short: one pack per thread; long: as many as 64 registers hold. launch/rows.py chooses.
MMB_KERNEL_AS(cross_entropy_rows_short_f32, cross_entropy_rows<float, 1>);
MMB_KERNEL_AS(cross_entropy_rows_long_f32, cross_entropy_rows<float, 8>);
MMB_KERNEL_AS(cross_entropy_rows_short_f64, cross_entropy_rows<double, 1>);
MMB_KERNEL_AS(cross_entropy_rows_long_f64, cross_entropy_rows<double, 2>);
MMB_KERNEL_AS(cross_entropy_rows_short_f16, cross_entropy_rows<__half, 1>);
MMB_KERNEL_AS(cross_entropy_rows_long_f16, cross_entropy_rows<__half, 2>);
MMB_KERNEL_AS(cross_entropy_rows_short_bf16, cross_entropy_rows<__nv_bfloat16, 1>);
MMB_KERNEL_AS(cross_entropy_rows_long_bf16, cross_entropy_rows<__nv_bfloat16, 2>);
MMB_KERNEL_AS(cross_entropy_columns_f32, cross_entropy_columns<float>);
MMB_KERNEL_AS(cross_entropy_columns_f64, cross_entropy_columns<double>);
MMB_KERNEL_AS(cross_entropy_columns_f16, cross_entropy_columns<__half>);
