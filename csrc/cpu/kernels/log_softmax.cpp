// The logarithm of softmax along a dimension, and its gradient (ops/softmax.py):
//
//   yᵢ = (xᵢ - max x) - log Σⱼ exp(xⱼ - max x),   ∂L/∂xᵢ = gᵢ - exp yᵢ · Σⱼ gⱼ
//
//   x, y, g, dx  (outer, n, inner), along n
//   bytes  8 an element forward, 12 backward: what is read again is found in the cache
#include <cmath>

#include "exponentials.hpp"
#include "python/kernel_table.hpp"

namespace mmb {
namespace {

template <class T>
void row_forward(T* y, const T* x, Index n) {
    const T top = largest(x, n), log_sum = std::log(sum_of_exponentials(x, top, n));
    each_vector<T>(n, [&](Index i, Index k) { store(y + i, (load(x + i, k) - top) - log_sum, k); });
}

template <class T>
void columns_forward(T* y, const T* x, Index n, Index inner, Index k) {
    Vec<T> top = splat(minus_infinity<T>), total{};
    for (Index i = 0; i < n; ++i) top = Larger()(top, load(x + i * inner, k));
    for (Index i = 0; i < n; ++i) total += exp<T>(load(x + i * inner, k) - top);
    const Vec<T> log_sum = log<T>(total);
    for (Index i = 0; i < n; ++i) store(y + i * inner, (load(x + i * inner, k) - top) - log_sum, k);
}

template <class T>
void row_backward(T* dx, const T* g, const T* y, Index n) {
    const T total = sum<T>(n, [&](Index i, Index k) { return load(g + i, k); });
    each_vector<T>(n, [&](Index i, Index k) { store(dx + i, load(g + i, k) - exp<T>(load(y + i, k)) * total, k); });
}

template <class T>
void columns_backward(T* dx, const T* g, const T* y, Index n, Index inner, Index k) {
    Vec<T> total{};
    for (Index i = 0; i < n; ++i) total += load(g + i * inner, k);
    for (Index i = 0; i < n; ++i)
        store(dx + i * inner, load(g + i * inner, k) - exp<T>(load(y + i * inner, k)) * total, k);
}

template <class T>
void log_softmax(const Span<T>& y, const Span<const T>& x, Index outer, Index n, Index inner) {
    expect(x.size == outer * n * inner && y.size == x.size, "(outer, n, inner) numbers");
    along<T>(
        outer, n, inner, [&](Index i) { row_forward(y.data + i, x.data + i, n); },
        [&](Index i, Index k) { columns_forward(y.data + i, x.data + i, n, inner, k); });
}

template <class T>
void log_softmax_backward(const Span<T>& dx, const Span<const T>& g, const Span<const T>& y, Index outer, Index n,
                          Index inner) {
    expect(y.size == outer * n * inner && g.size == y.size && dx.size == y.size, "(outer, n, inner) numbers");
    along<T>(
        outer, n, inner, [&](Index i) { row_backward(dx.data + i, g.data + i, y.data + i, n); },
        [&](Index i, Index k) { columns_backward(dx.data + i, g.data + i, y.data + i, n, inner, k); });
}

}  // namespace

MMB_CPU_KERNEL("log_softmax", log_softmax<T>);
MMB_CPU_KERNEL("log_softmax_backward", log_softmax_backward<T>);

}  // namespace mmb
