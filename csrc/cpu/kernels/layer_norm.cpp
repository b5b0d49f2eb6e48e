// Layer normalisation and its gradients (ops/normalization.py):
//
//   y = (x - μ) / √(σ² + ε) · weight + bias, with μ, σ² of a row;   with h = g · weight:
//   ∂L/∂x = (h - Σh/n - x̂ · Σhx̂/n) / √(σ² + ε),   ∂L/∂weight = Σ g x̂,   ∂L/∂bias = Σ g, over the rows
//
//   x, y, g, dx  (rows, cols);  weight, bias (cols) or none;  mean, scale (rows) stay for the way back
//   bytes  8 an element forward, 12 backward: a row is read from memory once, and again from the cache
#include <cmath>

#include "python/kernel_table.hpp"
#include "rows.hpp"

namespace mmb {
namespace {

template <class T>
Vec<T> times(const Vec<T>& v, const T* weight, Index i, Index k) {
    return weight ? v * load(weight + i, k) : v;
}

template <class T>
void row_forward(T* y, T& mean, T& scale, const T* x, const T* weight, const T* bias, Index n, T eps) {
    const T about = sum<T>(n, [&](Index i, Index k) { return load(x + i, k); }) / n;
    const auto [rest, squares] = two_sums<T>(n, [&](Index i, Index k) {
        const Vec<T> d = filled<T>(load(x + i, k) - about, k, T(0));
        return Two<T>{d, d * d};
    });
    const T shift = rest / n;  // what rounding left in the mean
    mean = about + shift;
    scale = 1 / std::sqrt(squares / n - shift * shift + eps);
    each_vector<T>(n, [&](Index i, Index k) {
        const Vec<T> v = times(Vec<T>((load(x + i, k) - mean) * scale), weight, i, k);
        store(y + i, bias ? v + load(bias + i, k) : v, k);
    });
}

// dx, and what the row adds to ∂L/∂weight and ∂L/∂bias; each of the three may be left out
template <class T>
void row_backward(T* dx, T* dweight, T* dbias, const T* g, const T* x, const T* weight, T mean, T scale, Index n) {
    const auto normal = [&](Index i, Index k) -> Vec<T> { return (load(x + i, k) - mean) * scale; };
    if (dx) {
        const auto [a, b] = two_sums<T>(n, [&](Index i, Index k) {
            const Vec<T> h = times(load(g + i, k), weight, i, k);
            return Two<T>{h, h * normal(i, k)};
        });
        const T even = a / n, along = b / n;
        each_vector<T>(n, [&](Index i, Index k) {
            const Vec<T> h = times(load(g + i, k), weight, i, k);
            store(dx + i, (h - even - normal(i, k) * along) * scale, k);
        });
    }
    if (dweight)
        each_vector<T>(n, [&](Index i, Index k) {
            const Vec<T> h = load(g + i, k);
            store(dweight + i, load(dweight + i, k) + h * normal(i, k), k);
            store(dbias + i, load(dbias + i, k) + h, k);
        });
}

template <class T>
void layer_norm(const Span<T>& y, const Span<T>& mean, const Span<T>& scale, const Span<const T>& x,
                const Span<const T>& weight, const Span<const T>& bias, double eps) {
    const Index rows = mean.size, n = rows ? x.size / rows : 0;
    expect(n > 0 && x.size == rows * n && y.size == x.size && scale.size == rows && (!weight || weight.size == n) &&
               (!bias || bias.size == n),
           "(rows, cols) values, not empty; cols weights and biases");
    each_row(rows, 2 * n, [&](Index first, Index last) {
        for (Index r = first; r < last; ++r)
            row_forward(&y[r * n], mean[r], scale[r], &x[r * n], weight.data, bias.data, n, static_cast<T>(eps));
    });
}

// sums (parts, 2, cols), of which the first part is what all add up to: ∂L/∂weight and ∂L/∂bias; a part
// is the sum of `per_part` rows. Or none.
template <class T>
void layer_norm_backward(const Span<T>& dx, const Span<T>& sums, const Span<const T>& g, const Span<const T>& x,
                         const Span<const T>& weight, const Span<const T>& mean, const Span<const T>& scale, Index per_part) {
    const Index rows = mean.size, n = rows ? x.size / rows : 0, parts = per_part > 0 ? (rows + per_part - 1) / per_part : 0;
    expect(n > 0 && parts > 0 && x.size == rows * n && (!dx || dx.size == x.size) && g.size == x.size && scale.size == rows &&
               (!weight || weight.size == n) && (!sums || sums.size == parts * 2 * n),
           "(rows, cols) gradients, and the sums of every part of the rows");
    parallel_for(parts, [&](Index p) {
        T* const dweight = sums ? &sums[p * 2 * n] : nullptr;
        T* const dbias = sums ? dweight + n : nullptr;
        if (sums) std::fill(dweight, dweight + 2 * n, T(0));
        for (Index r = p * per_part; r < std::min(rows, (p + 1) * per_part); ++r)
            row_backward(dx ? &dx[r * n] : nullptr, dweight, dbias, &g[r * n], &x[r * n], weight.data, mean[r], scale[r], n);
    });
    if (sums)
        for (Index p = 1; p < parts; ++p)
            each_vector<T>(2 * n, [&](Index i, Index k) {
                store(&sums[i], load(&sums[i], k) + load(&sums[p * 2 * n + i], k), k);
            });
}

}  // namespace

MMB_CPU_KERNEL("layer_norm", layer_norm<T>);
MMB_CPU_KERNEL("layer_norm_backward", layer_norm_backward<T>);

}  // namespace mmb
