// The affine map of a layer, y = x Wᵀ + b, with the ReLU behind it, and its gradients (ops/linear.py).
#include <algorithm>
#include <memory>
#include <optional>

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
    const UnlockedFor others_may_run(1.0 * m * n * k);
    Epilogue<T> e;
    e.bias = bias.data, e.relu = relu;
    parallel_gemm(m, n, k, factor<T>(x), factor<T>(weight).transposed(), y.data, n, e);
    return y.object;
}

// g as it comes out of a relu on the way back: 0 where the relu's result y was at most 0. Its rows, added
// up in blocks: `sums` holds one number for each column. Either result may be left out: null.
template <class T>
void gate_and_add_rows(const Matrix<const T>& g, const Matrix<const T>* y, T* gated, T* sums) {
    constexpr Index L = lanes<T>, block = 64;
    const bool in_rows = g.col_stride == 1 && (!y || y->col_stride == 1);
    const auto read = [&](const Matrix<const T>& from, Index i, Index j, Index n) {
        if (in_rows) return load(&from(i, j), n);
        Vec<T> v{};
        for (Index l = 0; l < n; ++l) v[l] = from(i, j + l);
        return v;
    };
    if (sums) std::fill_n(sums, g.cols, T(0));
    for (Index first = 0; first < g.rows; first += block) {
        const Index end = std::min(first + block, g.rows);
        for (Index j = 0; j < g.cols; j += L) {
            const Index n = std::min(L, g.cols - j);
            Vec<T> sum{};
            for (Index i = first; i < end; ++i) {
                Vec<T> v = read(g, i, j, n);
                if (y) v = read(*y, i, j, n) <= 0 ? Vec<T>{} : v;
                if (gated) store(gated + i * g.cols + j, v, n);
                sum += v;
            }
            if (sums) store(sums + j, load(sums + j, n) + sum, n);
        }
    }
}

// ∂L/∂x = g W,   ∂L/∂W = gᵀ x,   ∂L/∂b = Σ g over the rows; those that are wanted, else None.
// y: the result of the ReLU behind the map, through which g goes first; None without one.
template <class T>
Object linear_backward(const Matrix<const T>& g, std::optional<Matrix<const T>> x, std::optional<Matrix<const T>> weight,
                          std::optional<Matrix<const T>> y, bool need_bias) {
    const Index m = g.rows, n = g.cols;
    expect(!x || x->rows == m, "as many rows of x as of g");
    expect(!weight || weight->rows == n, "as many rows of W as columns of g");
    expect(!y || (y->rows == m && y->cols == n), "y of the shape of g");
    const Index x_cols = x ? x->cols : 0, w_cols = weight ? weight->cols : 0;
    std::optional<Made<T>> gx, gw, gb;
    if (weight) gx.emplace(std::vector<Index>{m, w_cols});
    if (x) gw.emplace(std::vector<Index>{n, x_cols});
    if (need_bias) gb.emplace(std::vector<Index>{n});
    {
        const UnlockedFor others_may_run(1.0 * m * n * (x_cols + w_cols));
        Factor<T> left = factor<T>(g);
        std::unique_ptr<T[]> gated;
        if (y) {
            gated.reset(new T[m * n]);
            left = in_rows<T>(gated.get(), n);
        }
        if (y || need_bias) gate_and_add_rows<T>(g, y ? &*y : nullptr, gated.get(), gb ? gb->data : nullptr);
        if (x) parallel_gemm(n, x_cols, m, left.transposed(), factor<T>(*x), gw->data, x_cols);
        if (weight) parallel_gemm(m, w_cols, n, left, factor<T>(*weight), gx->data, w_cols);
    }
    const auto given = [](const std::optional<Made<T>>& made) { return made ? made->object.get() : Py_None; };
    return Object::made(PyTuple_Pack(3, given(gx), given(gw), given(gb)));
}

}  // namespace

MMB_CPU_FUNCTION("linear", linear<float>);
MMB_CPU_FUNCTION("linear", linear<double>);
MMB_CPU_FUNCTION("linear_backward", linear_backward<float>);
MMB_CPU_FUNCTION("linear_backward", linear_backward<double>);

}  // namespace mmb
