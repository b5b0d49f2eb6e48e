// Softmax-cross-entropy of a batch, and its gradient in the same pass (ops/cross_entropy.py):
//
//   L = Σₙ wₙ · -log softmax(xₙ)[tₙ] / W,   ∂L/∂x[n, k] = wₙ / W · (softmax(xₙ)[k] - [k = tₙ])
//
//   x, dx  (N, C) logits and gradient; t (N) classes, those equal to `ignored` left out
//   w      (C) weights of the classes or none; W = Σₙ wₙ for a mean, 1 for a sum
//   bytes  8 a logit: x is read once from memory, and again from the cache; dx is written once, past
//          the cache if it is too large to be found there later
#include <cmath>

#include "exponentials.hpp"
#include "python/kernel_table.hpp"
#include "streaming.hpp"

namespace mmb {
namespace {

// The largest number of elements whose gradient is still in the cache when something reads it.
constexpr Index cached = Index(1) << 20;

template <class T>
struct Loss {
    T sum, picked;  // of the exponentials; the logit of the truth: both on the scale of the largest
};

// One row that fits into a vector.
template <class T>
Loss<T> short_row(T* dx, const T* x, Index n, Index t, T scale) {
    const Vec<T> v = filled<T>(load(x, n), n, minus_infinity<T>);
    const T top = across<T>(v, Larger());
    const Vec<T> e = exp<T>(v - top);
    const T s = across<T>(e, Plus());
    if (dx) {
        const T truth = std::exp(T(x[t] - top)) / s;
        store(dx, e * (scale / s), n);
        dx[t] = (truth - 1) * scale;
    }
    return {s, x[t] - top};
}

template <class T>
Loss<T> row(T* dx, T* e, const T* x, Index n, Index t, T scale) {
    const T top = largest(x, n);
    if (!dx) return {sum_of_exponentials(x, top, n), x[t] - top};
    const T s = exponentials(e, x, top, n), truth = e[t] / s, factor = scale / s;
    each_written<T>(dx, n, e != dx, [&](Index i, Index k) { return load(e + i, k) * factor; });
    dx[t] = (truth - 1) * scale;
    return {s, x[t] - top};
}

// The words of ops/cross_entropy.py
std::string out_of_bounds(Index t, Index classes, Index ignored) {
    return "target " + std::to_string(t) + " is out of bounds: there are " + std::to_string(classes) + " classes, 0 to " +
           std::to_string(classes - 1) + ", and ignore_index is " + std::to_string(ignored);
}

// The weights of all samples, added up.
template <class T>
T total_weight(const Span<const Index>& t, const Span<const T>& w, Index classes, Index ignored) {
    double total = 0;
    for (Index r = 0; r < t.size; ++r) {
        if (t[r] == ignored) continue;
        if (t[r] < 0 || t[r] >= classes) throw std::out_of_range(out_of_bounds(t[r], classes, ignored));
        total += w ? double(w[t[r]]) : 1.0;
    }
    return static_cast<T>(total);
}

template <class T>
void cross_entropy(const Span<T>& loss, const Span<T>& dx, const Span<const T>& x, const Span<const Index>& t,
                   const Span<const T>& w, Index ignored, bool mean) {
    const Index rows = t.size, n = rows ? x.size / rows : 0;
    expect(loss.size == 1 && x.size == rows * n && (!dx || dx.size == x.size) && (!w || w.size == n),
           "(N, C) logits, N classes, C weights");
    const T total = total_weight(t, w, n, ignored), divisor = mean ? total : T(1);
    const bool streams = dx && x.size > cached && n > lanes<T>;
    std::vector<T> sums(rows), losses(rows);
    each_row(rows, n, [&](Index first, Index last) {
        std::vector<T> memory(streams ? n : 0);
        for (Index r = first; r < last; ++r) {
            T* const d = dx ? &dx[r * n] : nullptr;
            if (t[r] == ignored) {
                if (d) std::fill(d, d + n, T(0));
                sums[r] = 1, losses[r] = 0;
                continue;
            }
            const T weight = w ? w[t[r]] : T(1), scale = weight / divisor;
            const Loss<T> l = n <= lanes<T> ? short_row(d, &x[r * n], n, t[r], scale)
                                            : row(d, streams ? memory.data() : d, &x[r * n], n, t[r], scale);
            sums[r] = l.sum, losses[r] = l.picked;
        }
        if (streams) end_of_stream();
        each_vector<T>(last - first, [&](Index i, Index k) {
            store(&losses[first + i], log<T>(load(&sums[first + i], k)) - load(&losses[first + i], k), k);
        });
    });
    double sum = 0;  // in the order of the rows
    for (Index r = 0; r < rows; ++r)
        if (t[r] != ignored) sum += double(losses[r]) * (w ? double(w[t[r]]) : 1.0);
    loss[0] = static_cast<T>(mean ? sum / total : sum);
}

}  // namespace

MMB_CPU_KERNEL("cross_entropy", cross_entropy<float>);
MMB_CPU_KERNEL("cross_entropy", cross_entropy<double>);

}  // namespace mmb
