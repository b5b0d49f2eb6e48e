// Stores that go past the caches: what is not read again soon need not push other things out of them,
// and the line that is written over need not be read first, which is a third of a copy's traffic.
#pragma once
#include <algorithm>

#include "simd.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace mmb {

// p must be a multiple of the vector's size
template <class T>
inline void stream(T* p, const Vec<T>& v) {
#if defined(__AVX512F__)
    _mm512_stream_si512(reinterpret_cast<__m512i*>(p), (__m512i)v);
#elif defined(__AVX__)
    _mm256_stream_si256(reinterpret_cast<__m256i*>(p), (__m256i)v);
#elif defined(__SSE2__)
    _mm_stream_si128(reinterpret_cast<__m128i*>(p), (__m128i)v);
#else
    store(p, v);
#endif
}

// What was streamed before is seen by other threads after this.
inline void end_of_stream() {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

// Numbers before the first line of the cache that lies in y whole, at most n.
template <class T>
inline Index before_line(const T* y, Index n) {
    constexpr Index line = 64;
    return std::min<Index>(n, -reinterpret_cast<std::uintptr_t>(y) % line / sizeof(T));
}

template <class T>
constexpr Index line_of = 64 / static_cast<Index>(sizeof(T));  // numbers

// y[i] = f(i) for the whole line that begins at y[i]. All its parts at once: with other work between
// them they would leave one by one.
template <class T, class F>
inline void stream_line(T* y, Index i, const F& f) {
    constexpr Index parts = line_of<T> / lanes<T>;
    Vec<T> v[parts];
    for (Index p = 0; p < parts; ++p) v[p] = f(i + p * lanes<T>, lanes<T>);
    for (Index p = 0; p < parts; ++p) stream(y + i + p * lanes<T>, v[p]);
}

// y[i] = f(i, k): ordinary stores up to the first whole line, streams from there.
template <class T, class F>
inline void each_streamed(T* y, Index n, const F& f) {
    Index i = before_line(y, n);
    each_vector<T>(i, [&](Index j, Index k) { store(y + j, f(j, k), k); });
    for (; i + line_of<T> <= n; i += line_of<T>) stream_line(y, i, f);
    each_vector<T>(n - i, [&](Index j, Index k) { store(y + i + j, f(i + j, k), k); });
}

// y[i] = f(i, k), past the caches or through them
template <class T, class F>
inline void each_written(T* y, Index n, bool past_caches, const F& f) {
    if (past_caches) return each_streamed(y, n, f);
    each_vector<T>(n, [&](Index i, Index k) { store(y + i, f(i, k), k); });
}

}  // namespace mmb
