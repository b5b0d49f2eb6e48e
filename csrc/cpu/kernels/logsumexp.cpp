// The logarithm of a sum of exponentials along a dimension, and its gradient (ops/softmax.py):
//
//   y = log Σᵢ exp(xᵢ - c) + c, where c is the largest x, or 0 if that is infinite;   ∂L/∂xᵢ = g exp(xᵢ - y)
//
//   x, dx (outer, n, inner), along n;   y, g (outer, inner)
//   bytes  4 an element forward, 8 backward: what is read again is found in the cache
#include <cmath>

#include "exponentials.hpp"
#include "python/kernel_table.hpp"

namespace mmb {
namespace {

template <class T>
T of_row(const T* x, Index n) {
    const T top = largest(x, n), c = std::isfinite(top) ? top : T(0);  // ∞ - ∞ would be NaN
    return std::log(sum_of_exponentials(x, c, n)) + c;
}

template <class T>
Vec<T> of_columns(const T* x, Index n, Index inner, Index k) {
    Vec<T> top = splat(minus_infinity<T>), total{};
    for (Index i = 0; i < n; ++i) top = Larger()(top, load(x + i * inner, k));
    const Vec<T> c = abs<T>(top) < std::numeric_limits<T>::infinity() ? top : Vec<T>{};
    for (Index i = 0; i < n; ++i) total += exp<T>(load(x + i * inner, k) - c);
    return log<T>(total) + c;
}

template <class T>
void logsumexp(const Span<T>& y, const Span<const T>& x, Index outer, Index n, Index inner) {
    expect(x.size == outer * n * inner && y.size == outer * inner && n > 0, "(outer, n, inner) numbers");
    along<T>(
        outer, n, inner, [&](Index i) { y[i / n] = of_row(x.data + i, n); },
        [&](Index i, Index k) {
            store(y.data + i / (n * inner) * inner + i % inner, of_columns(x.data + i, n, inner, k), k);
        });
}

template <class T>
void logsumexp_backward(const Span<T>& dx, const Span<const T>& g, const Span<const T>& x, const Span<const T>& y,
                        Index outer, Index n, Index inner) {
    expect(x.size == outer * n * inner && dx.size == x.size && y.size == outer * inner && g.size == y.size,
           "(outer, n, inner) numbers");
    if (inner == 1)
        each_row(outer, n, [&](Index first, Index last) {
            for (Index r = first; r < last; ++r)
                each_vector<T>(n, [&](Index i, Index k) {
                    store(&dx[r * n + i], g[r] * exp<T>(load(&x[r * n + i], k) - y[r]), k);
                });
        });
    else
        each_row(outer * n, inner, [&](Index first, Index last) {
            for (Index r = first; r < last; ++r) {
                const Index below = r * inner, of = r / n * inner;
                each_vector<T>(inner, [&](Index i, Index k) {
                    store(&dx[below + i], load(&g[of + i], k) * exp<T>(load(&x[below + i], k) - load(&y[of + i], k)), k);
                });
            }
        });
}

}  // namespace

MMB_CPU_KERNEL("logsumexp", logsumexp<T>);
MMB_CPU_KERNEL("logsumexp_backward", logsumexp_backward<T>);

}  // namespace mmb
