// Softmax along a dimension, and its gradient (ops/softmax.py):
//
//   yᵢ = exp(xᵢ - max x) / Σⱼ exp(xⱼ - max x),   ∂L/∂xᵢ = yᵢ (gᵢ - Σⱼ gⱼ yⱼ)
//
//   x, y, g, dx  (outer, n, inner), along n
//   bytes  8 an element forward, 12 backward: what is read again is found in the cache
#include "exponentials.hpp"
#include "python/kernel_table.hpp"

namespace mmb {
namespace {

template <class T>
void row_forward(T* y, const T* x, Index n) {
    const T scale = 1 / exponentials(y, x, largest(x, n), n);
    each_vector<T>(n, [&](Index i, Index k) { store(y + i, load(y + i, k) * scale, k); });
}

template <class T>
void columns_forward(T* y, const T* x, Index n, Index inner, Index k) {
    Vec<T> top = splat(minus_infinity<T>), total{};
    for (Index i = 0; i < n; ++i) top = Larger()(top, load(x + i * inner, k));
    for (Index i = 0; i < n; ++i) {
        const Vec<T> e = exp<T>(load(x + i * inner, k) - top);
        store(y + i * inner, e, k);
        total += e;
    }
    const Vec<T> scale = 1 / total;
    for (Index i = 0; i < n; ++i) store(y + i * inner, load(y + i * inner, k) * scale, k);
}

template <class T>
void row_backward(T* dx, const T* g, const T* y, Index n) {
    const T mean = sum<T>(n, [&](Index i, Index k) { return load(g + i, k) * load(y + i, k); });
    each_vector<T>(n, [&](Index i, Index k) { store(dx + i, load(y + i, k) * (load(g + i, k) - mean), k); });
}

template <class T>
void columns_backward(T* dx, const T* g, const T* y, Index n, Index inner, Index k) {
    Vec<T> mean{};
    for (Index i = 0; i < n; ++i) mean += load(g + i * inner, k) * load(y + i * inner, k);
    for (Index i = 0; i < n; ++i)
        store(dx + i * inner, load(y + i * inner, k) * (load(g + i * inner, k) - mean), k);
}

template <class T>
void softmax(const Span<T>& y, const Span<const T>& x, Index outer, Index n, Index inner) {
    expect(x.size == outer * n * inner && y.size == x.size, "(outer, n, inner) numbers");
    along<T>(
        outer, n, inner, [&](Index i) { row_forward(y.data + i, x.data + i, n); },
        [&](Index i, Index k) { columns_forward(y.data + i, x.data + i, n, inner, k); });
}

template <class T>
void softmax_backward(const Span<T>& dx, const Span<const T>& g, const Span<const T>& y, Index outer, Index n, Index inner) {
    expect(y.size == outer * n * inner && g.size == y.size && dx.size == y.size, "(outer, n, inner) numbers");
    along<T>(
        outer, n, inner, [&](Index i) { row_backward(dx.data + i, g.data + i, y.data + i, n); },
        [&](Index i, Index k) { columns_backward(dx.data + i, g.data + i, y.data + i, n, inner, k); });
}

}  // namespace

MMB_CPU_KERNEL("softmax", softmax<T>);
MMB_CPU_KERNEL("softmax_backward", softmax_backward<T>);

}  // namespace mmb
