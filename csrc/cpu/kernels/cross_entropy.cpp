// Softmax-cross-entropy of a batch, and its gradient in the same pass (ops/cross_entropy.py):
//
//   L = Σₙ wₙ · -log softmax(xₙ)[tₙ] / W,   ∂L/∂x[n, k] = wₙ / W · (softmax(xₙ)[k] - [k = tₙ])
//
//   x, dx  (N, C) logits and gradient; t (N) classes, those equal to `ignored` left out
//   w      (C) weights of the classes or none; W = Σₙ wₙ for a mean, 1 for a sum
//   bytes  8 a logit: x is read once from memory, and again from the cache; dx is written once, past
//          the cache if it is too large to be found there later
//
// And of samples, each with its loss, weight and gradient: x (outer, n, inner) along n, the others (outer, inner):
//
//   Lₛ = wₛ · (log sₛ - (xₜ - cₛ)), where c is the largest x and s = Σₖ exp(xₖ - c)
//   ∂L/∂xₖ = gₛ wₛ · (exp(xₖ - c) / s - [k = t])
#include <cmath>

#include "exponentials.hpp"
#include "python/kernel_table.hpp"
#include "streaming.hpp"

namespace mmb {
namespace {

// The largest number of elements whose gradient is still in the cache when something reads it.
constexpr Index cached = Index(1) << 20;

constexpr Index few = 20;  // classes, of which rows are computed side by side: beyond, to turn them costs more

template <class T>
struct Loss {
    T sum, picked;  // of the exponentials; the logit of the truth: both on the scale of the largest
};

// Rows of few classes, as many at once as a vector has lanes: one in each. The classes of one row would
// hardly fill a vector, and its largest and its sum would have to be found across the lanes.
// Without dx the loss alone; `scale` has a number for every lane.
template <class T>
void short_rows(T* dx, const T* x, Index n, const Index* t, Index count, Index ignored, const T* scale, T* sums, T* picked) {
    constexpr Index w = lanes<T>;
    T block[few][w];  // [class][row]; what is left of the lanes repeats the last row
    for (Index r = 0; r < w; ++r)
        for (Index k = 0; k < n; ++k) block[k][r] = x[std::min(r, count - 1) * n + k];
    Vec<T> top = splat(minus_infinity<T>), s{};
    for (Index k = 0; k < n; ++k) top = Larger()(top, load(block[k], w));
    for (Index k = 0; k < n; ++k) {
        const Vec<T> e = exp<T>(load(block[k], w) - top);
        store(block[k], e, w);
        s += e;
    }
    const Vec<T> factor = load(scale, w) / s;
    for (Index r = 0; r < count; ++r) {
        const bool counts = t[r] != ignored;
        sums[r] = counts ? s[r] : T(1);
        picked[r] = counts ? x[r * n + t[r]] - top[r] : T(0);
        if (!dx) continue;
        for (Index k = 0; k < n; ++k) dx[r * n + k] = counts ? block[k][r] * factor[r] : T(0);
        if (counts) dx[r * n + t[r]] = (block[t[r]][r] / s[r] - 1) * scale[r];
    }
}

// A row of the gradient on its way past the caches, a line at a time: the next row's exponentials are
// computed meanwhile, so that neither memory nor processor waits for the other. dx[t] is put in on the
// way: a line that has left would have to come back for it.
template <class T>
struct Leaving {
    T* dx = nullptr;
    const T* e = nullptr;
    T factor = 0, truth = 0;  // dx[k] = factor · e[k], dx[t] = truth
    Index n = 0, t = 0, i = 0;

    Vec<T> operator()(Index j, Index k) const {
        Vec<T> v = load(e + j, k) * factor;
        if (t >= j && t < j + k) v[t - j] = truth;
        return v;
    }
    void write(Index end) {  // up to there, through the cache
        each_vector<T>(end - i, [&](Index j, Index k) { store(dx + i + j, (*this)(i + j, k), k); });
        i = end;
    }
    void line() {
        if (i + line_of<T> > n) return;
        stream_line(dx, i, *this);
        i += line_of<T>;
    }
    void end() {
        while (i + line_of<T> <= n) line();
        write(n);
    }
};

// Without dx the loss alone. `other`: memory for a row that will leave, not where the one lies that does
// so now; without it the row is written where it stays.
template <class T>
Loss<T> row(T* dx, T* other, const T* x, Index n, Index t, T scale, Leaving<T>& leaving) {
    const T top = largest(x, n);
    if (!dx) return {sum_of_exponentials(x, top, n), x[t] - top};
    T* const e = other ? other : dx;
    const T s = !other ? exponentials(e, x, top, n) : sum<T>(n, [&](Index i, Index k) {
        const Vec<T> v = exp<T>(load(x + i, k) - top);
        store(e + i, v, k);
        leaving.line();
        return v;
    });
    const T factor = scale / s, truth = (e[t] / s - 1) * scale;
    leaving.end();
    if (other) {
        leaving = Leaving<T>{dx, e, factor, truth, n, t};
        leaving.write(before_line(dx, n));
    } else {
        each_vector<T>(n, [&](Index i, Index k) { store(e + i, load(e + i, k) * factor, k); });
        dx[t] = truth;
    }
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
    const bool streams = dx && x.size > cached && n > few;
    std::vector<T> sums(rows), losses(rows);
    each_row(rows, n, [&](Index first, Index last) {
        std::vector<T> memory(streams ? 2 * n : 0);
        Leaving<T> leaving;
        const auto scale_of = [&](Index r) { return (w && t[r] != ignored ? w[t[r]] : T(1)) / divisor; };
        for (Index r = first; r < last && n <= few; r += lanes<T>) {
            const Index count = std::min<Index>(last - r, lanes<T>);
            T scales[lanes<T>] = {};
            for (Index i = 0; i < count; ++i) scales[i] = scale_of(r + i);
            short_rows(dx ? &dx[r * n] : nullptr, &x[r * n], n, &t[r], count, ignored, scales, &sums[r], &losses[r]);
        }
        for (Index r = first; r < last && n > few; ++r) {
            T* const d = dx ? &dx[r * n] : nullptr;
            if (t[r] == ignored) {
                if (d) std::fill(d, d + n, T(0));
                sums[r] = 1, losses[r] = 0;
                continue;
            }
            T* const other = streams ? memory.data() + (leaving.e == memory.data() ? n : 0) : nullptr;
            const Loss<T> l = row(d, other, &x[r * n], n, t[r], scale_of(r), leaving);
            sums[r] = l.sum, losses[r] = l.picked;
        }
        leaving.end();
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

template <class T>
void expect_samples(const Span<const T>& x, const Span<const Index>& t, const Span<const T>& w, const Span<const T>& top,
                    const Span<const T>& sum, Index outer, Index n, Index inner) {
    const Index samples = outer * inner;
    expect(n > 0 && x.size == samples * n && t.size == samples && (!w || w.size == samples) && top.size == samples &&
               sum.size == samples,
           "(outer, n, inner) logits, and (outer, inner) classes and weights");
    for (Index s = 0; s < samples; ++s)
        if (t[s] < 0 || t[s] >= n)
            throw std::out_of_range("target " + std::to_string(t[s]) + " is out of bounds: there are " + std::to_string(n) + " classes");
}

template <class T>
void cross_entropy_of_samples(const Span<T>& loss, const Span<T>& top, const Span<T>& sum, const Span<const T>& x,
                              const Span<const Index>& t, const Span<const T>& w, Index outer, Index n, Index inner) {
    expect(loss.size == t.size, "a loss for each sample");
    expect_samples<T>(x, t, w, {top.data, top.size}, {sum.data, sum.size}, outer, n, inner);
    along<T>(
        outer, n, inner,
        [&](Index i) {
            const T c = largest(&x[i], n);
            top[i / n] = c, sum[i / n] = sum_of_exponentials(&x[i], c, n);
        },
        [&](Index i, Index k) {
            Vec<T> c = splat(minus_infinity<T>), total{};
            for (Index j = 0; j < n; ++j) c = Larger()(c, load(&x[i + j * inner], k));
            for (Index j = 0; j < n; ++j) total += exp<T>(load(&x[i + j * inner], k) - c);
            const Index s = i / (n * inner) * inner + i % inner;
            store(&top[s], c, k), store(&sum[s], total, k);
        });
    each_vector<T>(t.size, [&](Index i, Index k) { store(&loss[i], log<T>(load(&sum[i], k)), k); });
    for (Index s = 0; s < t.size; ++s) {
        const T picked = x[(s / inner * n + t[s]) * inner + s % inner];
        loss[s] = (loss[s] - (picked - top[s])) * (w ? w[s] : T(1));
    }
}

template <class T>
void cross_entropy_of_samples_backward(const Span<T>& dx, const Span<const T>& g, const Span<const T>& top,
                                       const Span<const T>& sum, const Span<const T>& x, const Span<const Index>& t,
                                       const Span<const T>& w, Index outer, Index n, Index inner) {
    expect(dx.size == x.size && g.size == t.size, "a gradient for each sample");
    expect_samples<T>(x, t, w, top, sum, outer, n, inner);
    std::vector<T> slope(t.size), scale(t.size);
    for (Index s = 0; s < t.size; ++s) slope[s] = g[s] * (w ? w[s] : T(1)), scale[s] = slope[s] / sum[s];
    each_row(outer * n, inner, [&](Index first, Index last) {
        if (inner == 1) {  // parts of rows of classes
            for (Index i = first; i < last;) {
                const Index row = i / n, end = std::min(last, (row + 1) * n);
                each_vector<T>(end - i, [&](Index j, Index k) { store(&dx[i + j], scale[row] * exp<T>(load(&x[i + j], k) - top[row]), k); });
                i = end;
            }
            return;
        }
        for (Index r = first; r < last; ++r)
            each_vector<T>(inner, [&](Index j, Index k) {
                const Index s = r / n * inner + j;
                store(&dx[r * inner + j], load(&scale[s], k) * exp<T>(load(&x[r * inner + j], k) - load(&top[s], k)), k);
            });
    });
    for (Index s = 0; s < t.size; ++s) dx[(s / inner * n + t[s]) * inner + s % inner] -= slope[s];
}

}  // namespace

MMB_CPU_KERNEL("cross_entropy", cross_entropy<T>);
MMB_CPU_KERNEL("cross_entropy_of_samples", cross_entropy_of_samples<T>);
MMB_CPU_KERNEL("cross_entropy_of_samples_backward", cross_entropy_of_samples_backward<T>);

}  // namespace mmb
