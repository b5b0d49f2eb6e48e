// Rows of numbers: sums and maxima. The order in which a row is added up follows from its length and
// the width of the vectors, so the bits are the same for every number of threads.
#pragma once
#include <algorithm>
#include <limits>

#include "pool.hpp"
#include "simd.hpp"

namespace mmb {

template <class T>
constexpr T minus_infinity = -std::numeric_limits<T>::infinity();

// The first `count` lanes of v, and `fill` in the others.
template <class T>
inline Vec<T> filled(const Vec<T>& v, Index count, T fill) {
    if (count == lanes<T>) return v;
    LaneNumbers<T> lane{};
    for (int i = 0; i < lanes<T>; ++i) lane[i] = i;
    return lane < static_cast<LaneNumber<T>>(count) ? v : splat(fill);
}

struct Plus {
    template <class V>
    V operator()(const V& a, const V& b) const {
        return a + b;
    }
};
struct Larger {  // a where b is NaN: who takes the exponential of b meets it again
    template <class V>
    V operator()(const V& a, const V& b) const {
        return b > a ? b : a;
    }
};

// The lanes of v joined: halves with each other, until one number is left.
template <class T, int Bytes = vector_bytes, class V, class Join>
inline T across(const V& v, const Join& join) {
    if constexpr (Bytes == 2 * sizeof(T)) {
        return join(T(v[0]), T(v[1]));
    } else {
        typedef T Half __attribute__((vector_size(Bytes / 2)));
        Half half[2];
        std::memcpy(half, &v, sizeof half);
        return across<T, Bytes / 2>(join(half[0], half[1]), join);
    }
}

// f(i, k) of a row, joined: k numbers from the i-th on, in a vector. Four running vectors, as one
// would wait for itself.
template <class T, class F, class Join>
inline T folded(Index n, T start, const F& f, const Join& join) {
    constexpr Index w = lanes<T>;
    Vec<T> a = splat(start), b = a, c = a, d = a;
    Index i = 0;
    for (; i + 4 * w <= n; i += 4 * w) {
        a = join(a, f(i, w));
        b = join(b, f(i + w, w));
        c = join(c, f(i + 2 * w, w));
        d = join(d, f(i + 3 * w, w));
    }
    for (; i + w <= n; i += w) a = join(a, f(i, w));
    if (i < n) b = join(b, filled<T>(f(i, n - i), n - i, start));
    return across<T>(join(join(a, b), join(c, d)), join);
}

template <class T, class F>
inline T sum(Index n, const F& f) {
    return folded<T>(n, T(0), f, Plus());
}
template <class T>
inline T largest(const T* x, Index n) {
    return folded<T>(n, minus_infinity<T>, [&](Index i, Index k) { return load(x + i, k); }, Larger());
}

template <class T>
struct Two {  // sums that are taken together
    Vec<T> first, second;
    Two operator+(const Two& other) const { return {first + other.first, second + other.second}; }
};
template <class T>
struct TwoNumbers {
    T first, second;
};

// Σ of both parts of f(i, k), whose lanes behind the k-th must be 0
template <class T, class F>
inline TwoNumbers<T> two_sums(Index n, const F& f) {
    constexpr Index w = lanes<T>;
    Two<T> a{}, b{};
    Index i = 0;
    for (; i + 2 * w <= n; i += 2 * w) {
        a = a + f(i, w);
        b = b + f(i + w, w);
    }
    if (i + w <= n) a = a + f(i, w), i += w;
    if (i < n) b = b + f(i, n - i);
    a = a + b;
    return {across<T>(a.first, Plus()), across<T>(a.second, Plus())};
}

// Both parts of f(r, j, k), added to first[j] and second[j] for r in [start, end): row by row, as memory
// lies, four at a time.
template <class T, class F>
inline void add_rows(T* first, T* second, Index start, Index end, Index width, const F& f) {
    const auto add = [&](Index j, Index k, const Two<T>& v) {
        store(first + j, load(first + j, k) + v.first, k);
        store(second + j, load(second + j, k) + v.second, k);
    };
    Index r = start;
    for (; r + 4 <= end; r += 4)
        each_vector<T>(width, [&](Index j, Index k) {
            add(j, k, (f(r, j, k) + f(r + 1, j, k)) + (f(r + 2, j, k) + f(r + 3, j, k)));
        });
    for (; r < end; ++r) each_vector<T>(width, [&](Index j, Index k) { add(j, k, f(r, j, k)); });
}

// The sums of `width` columns over all rows. 256 rows are added up by themselves: a sum of sums loses
// fewer digits than one long sum.
template <class T, class F>
inline void two_sums_of_columns(T* first, T* second, Index rows, Index width, const F& f) {
    constexpr Index block = 256;
    std::fill(first, first + width, T(0));
    std::fill(second, second + width, T(0));
    if (rows <= block) return add_rows(first, second, 0, rows, width, f);
    std::vector<T> one(width), two(width);
    for (Index start = 0; start < rows; start += block) {
        std::fill(one.begin(), one.end(), T(0));
        std::fill(two.begin(), two.end(), T(0));
        add_rows(one.data(), two.data(), start, std::min(rows, start + block), width, f);
        each_vector<T>(width, [&](Index j, Index k) {
            store(first + j, load(first + j, k) + load(&one[j], k), k);
            store(second + j, load(second + j, k) + load(&two[j], k), k);
        });
    }
}

// body(first, last) over rows, shared among threads where there are enough of them: `cost` is what one
// row costs, in numbers read. A chunk takes some 50 microseconds.
template <class F>
inline void each_row(Index rows, Index cost, const F& body) {
    const Index chunk = std::max<Index>(1, 65536 / std::max<Index>(cost, 1)), chunks = (rows + chunk - 1) / chunk;
    if (chunks == 1) return body(Index(0), rows);
    parallel_for(chunks, [&](Index i) { body(i * chunk, std::min(rows, (i + 1) * chunk)); });
}

}  // namespace mmb
