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

// y[i] = f(i, k): ordinary stores up to the first boundary of a vector, streams from there.
template <class T, class F>
inline void each_streamed(T* y, Index n, const F& f) {
    const Index past = static_cast<Index>(reinterpret_cast<std::uintptr_t>(y) % vector_bytes / sizeof(T));
    Index i = past ? std::min(n, lanes<T> - past) : 0;
    if (i) store(y, f(Index(0), i), i);
    for (; i + lanes<T> <= n; i += lanes<T>) stream(y + i, f(i, lanes<T>));
    if (i < n) store(y + i, f(i, n - i), n - i);
}

// y[i] = f(i, k), past the caches or through them
template <class T, class F>
inline void each_written(T* y, Index n, bool past_caches, const F& f) {
    if (past_caches) return each_streamed(y, n, f);
    each_vector<T>(n, [&](Index i, Index k) { store(y + i, f(i, k), k); });
}

}  // namespace mmb
