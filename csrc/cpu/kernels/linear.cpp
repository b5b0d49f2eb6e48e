// The affine map of a layer, y = x Wᵀ + b, with the ReLU or GELU behind it, and its gradients (ops/linear.py).
#include <algorithm>
#include <memory>
#include <optional>

#include "gelu.hpp"
#include "gemm.hpp"
#include "python/kernel_table.hpp"
#include "pool.hpp"
#include "python/unlocked.hpp"

namespace mmb {
namespace {

// y = x Wᵀ + b;  relu: max(y, 0)
template <class T>
Object linear(const Matrix<const T>& x, const Matrix<const T>& weight, const Span<const T>& bias, bool relu) {
    const Index m = x.rows, n = weight.rows, k = x.cols;
    expect(weight.cols == k, "as many columns of x as of W");
    expect(!bias || bias.size == n, "a number of b for each row of W");
    Made<T> y({m, n});
    {
        const UnlockedFor others_may_run(1.0 * m * n * k);
        Epilogue<T> e;
        e.bias = bias.data, e.relu = relu;
        parallel_gemm(m, n, k, factor<T>(x), factor<T>(weight).transposed(), y.data, n, e);
    }
    return y.object;
}

// z = x Wᵀ + b and y = GELU(z): (y, z), for the way back starts from z.
template <class T>
Object linear_gelu(const Matrix<const T>& x, const Matrix<const T>& weight, const Span<const T>& bias, bool nearly) {
    const Index m = x.rows, n = weight.rows, k = x.cols;
    expect(weight.cols == k, "as many columns of x as of W");
    expect(!bias || bias.size == n, "a number of b for each row of W");
    Made<T> y({m, n}), z({m, n});
    {
        const UnlockedFor others_may_run(1.0 * m * n * (k + 16));
        Epilogue<T> e;
        e.bias = bias.data;
        parallel_gemm(m, n, k, factor<T>(x), factor<T>(weight).transposed(), z.data, n, e);
        const auto piece = [&](Index start, Index size) {
            each_vector<T>(size, [&](Index i, Index count) {
                const Vec<T> v = load(z.data + start + i, count);
                store(y.data + start + i, v * (nearly ? nearly_below<T>(v) : below<T>(v)), count);
            });
        };
        constexpr Index chunk = 32768;
        parallel_for((m * n + chunk - 1) / chunk, [&](Index c) { piece(c * chunk, std::min(chunk, m * n - c * chunk)); });
    }
    return Object::made(PyTuple_Pack(2, y.object.get(), z.object.get()));
}

// slope(g, saved): g as it comes out of the activation on the way back. Its rows, added up in blocks: `sums`
// holds one number for each column. Either result may be left out: null. No saved: there is no activation.
template <class T, class F>
void pass_and_add_rows(const Matrix<const T>& g, const Matrix<const T>* saved, T* passed, T* sums, const F& slope) {
    constexpr Index L = lanes<T>, block = 64, work = 65536;
    const bool in_rows = g.col_stride == 1 && (!saved || saved->col_stride == 1);
    const auto read = [&](const Matrix<const T>& from, Index i, Index j, Index n) {
        if (in_rows) return load(&from(i, j), n);
        Vec<T> v{};
        for (Index l = 0; l < n; ++l) v[l] = from(i, j + l);
        return v;
    };
    if (sums) std::fill_n(sums, g.cols, T(0));
    const auto columns = [&](Index from, Index to) {
        for (Index first = 0; first < g.rows; first += block) {
            const Index end = std::min(first + block, g.rows);
            for (Index j = from; j < to; j += L) {
                const Index n = std::min(L, to - j);
                Vec<T> sum{};
                for (Index i = first; i < end; ++i) {
                    Vec<T> v = read(g, i, j, n);
                    if (saved) v = slope(v, read(*saved, i, j, n));
                    if (passed) store(passed + i * g.cols + j, v, n);
                    sum += v;
                }
                if (sums) store(sums + j, load(sums + j, n) + sum, n);
            }
        }
    };
    // strips of columns, whose sums know nothing of each other
    const Index width = std::max<Index>(8, work / std::max<Index>(g.rows, 1) / L) * L, strips = (g.cols + width - 1) / width;
    if (strips <= 1) return columns(0, g.cols);
    parallel_for(strips, [&](Index s) { columns(s * width, std::min(g.cols, (s + 1) * width)); });
}

// ∂L/∂x = g W,   ∂L/∂W = gᵀ x,   ∂L/∂b = Σ g over the rows; those that are wanted, else None.
// saved: what the slope of the activation behind the map is computed of; None without one.
template <class T, class F>
Object gradients(const Matrix<const T>& g, const std::optional<Matrix<const T>>& x, const std::optional<Matrix<const T>>& weight,
                 const std::optional<Matrix<const T>>& saved, bool need_bias, const F& slope) {
    const Index m = g.rows, n = g.cols;
    expect(!x || x->rows == m, "as many rows of x as of g");
    expect(!weight || weight->rows == n, "as many rows of W as columns of g");
    expect(!saved || (saved->rows == m && saved->cols == n), "y or z of the shape of g");
    const Index x_cols = x ? x->cols : 0, w_cols = weight ? weight->cols : 0;
    std::optional<Made<T>> gx, gw, gb;
    if (weight) gx.emplace(std::vector<Index>{m, w_cols});
    if (x) gw.emplace(std::vector<Index>{n, x_cols});
    if (need_bias) gb.emplace(std::vector<Index>{n});
    {
        const UnlockedFor others_may_run(1.0 * m * n * (x_cols + w_cols + 16));
        Factor<T> left = factor<T>(g);
        std::unique_ptr<T[]> passed;
        if (saved) {
            passed.reset(new T[m * n]);
            left = in_rows<T>(passed.get(), n);
        }
        if (saved || need_bias) pass_and_add_rows<T>(g, saved ? &*saved : nullptr, passed.get(), gb ? gb->data : nullptr, slope);
        if (x) parallel_gemm(n, x_cols, m, left.transposed(), factor<T>(*x), gw->data, x_cols);
        if (weight) parallel_gemm(m, w_cols, n, left, factor<T>(*weight), gx->data, w_cols);
    }
    const auto given = [](const std::optional<Made<T>>& made) { return made ? made->object.get() : Py_None; };
    return Object::made(PyTuple_Pack(3, given(gx), given(gw), given(gb)));
}

// y: the result of the ReLU behind the map, where there is one. It lets NaN through.
template <class T>
Object linear_backward(const Matrix<const T>& g, std::optional<Matrix<const T>> x, std::optional<Matrix<const T>> weight,
                       std::optional<Matrix<const T>> y, bool need_bias) {
    return gradients<T>(g, x, weight, y, need_bias, [](const Vec<T>& v, const Vec<T>& y) -> Vec<T> { return y <= 0 ? Vec<T>{} : v; });
}

template <class T>
Object linear_gelu_backward(const Matrix<const T>& g, std::optional<Matrix<const T>> x, std::optional<Matrix<const T>> weight,
                            const Matrix<const T>& z, bool nearly, bool need_bias) {
    return gradients<T>(g, x, weight, z, need_bias, [nearly](const Vec<T>& v, const Vec<T>& z) -> Vec<T> {
        return v * (nearly ? gelu_tanh_slope<T>(z) : gelu_slope<T>(z));
    });
}

}  // namespace

MMB_CPU_FUNCTION("linear", linear<T>);
MMB_CPU_FUNCTION("linear_gelu", linear_gelu<T>);
MMB_CPU_FUNCTION("linear_gelu_backward", linear_gelu_backward<T>);
MMB_CPU_FUNCTION("linear_backward", linear_backward<T>);

}  // namespace mmb
