// What softmax, log_softmax, logsumexp and cross-entropy share: the exponentials of a row on the
// common scale of its largest number, so that none overflows.
#pragma once
#include "rows.hpp"
#include "vector_math.hpp"

namespace mmb {

// e = exp(x - top), and their sum; e may be where x is
template <class T>
inline T exponentials(T* e, const T* x, T top, Index n) {
    return sum<T>(n, [&](Index i, Index k) {
        const Vec<T> v = exp<T>(load(x + i, k) - top);
        store(e + i, v, k);
        return v;
    });
}
template <class T>
inline T sum_of_exponentials(const T* x, T top, Index n) {
    return sum<T>(n, [&](Index i, Index k) { return exp<T>(load(x + i, k) - top); });
}

// Along a dimension that is not the last: f(i, k) for k neighbouring columns of (outer, n, inner), of
// which the first begins i numbers after the array. A column is walked with a stride of `inner`.
template <class T, class F>
inline void each_columns(Index outer, Index n, Index inner, const F& f) {
    const Index across = (inner + lanes<T> - 1) / lanes<T>;  // vectors side by side
    each_row(outer * across, n * lanes<T>, [&](Index first, Index last) {
        for (Index v = first; v < last; ++v) {
            const Index start = v % across * lanes<T>;
            f(v / across * n * inner + start, std::min(lanes<T>, inner - start));
        }
    });
}

// Along any dimension: row(i) where the n numbers lie side by side from the i-th on, else
// columns(i, k) as above.
template <class T, class Row, class Columns>
inline void along(Index outer, Index n, Index inner, const Row& row, const Columns& columns) {
    if (inner != 1) return each_columns<T>(outer, n, inner, columns);
    each_row(outer, n, [&](Index first, Index last) {
        for (Index r = first; r < last; ++r) row(r * n);
    });
}

}  // namespace mmb
