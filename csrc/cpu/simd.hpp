// Vectors of the processor's own width, in the compilers' vector extension: one source serves
// AVX-512, AVX2, SSE2 and NEON, under g++ and clang. The width follows from the flags that the
// module is compiled with (VARIANTS in setup.py).
#pragma once
#include <cstring>
#include <type_traits>
#include <utility>

#include "array.hpp"

#if defined(__AVX__)
#include <immintrin.h>  // the masked loads and stores, which the vector extension lacks
#endif

namespace mmb {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

template <class T>
struct VectorOf {
    typedef T type __attribute__((vector_size(vector_bytes)));
};
template <class T>
using Vec = typename VectorOf<T>::type;
template <class T>
constexpr Index lanes = vector_bytes / static_cast<int>(sizeof(T));
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int registers = 32;  // vectors that the processor holds at once
#else
constexpr int registers = 16;
#endif

template <class T>
inline Vec<T> load(const T* p) {  // at any address
    Vec<T> v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
template <class T>
inline void store(T* p, const Vec<T>& v) {
    std::memcpy(p, &v, sizeof v);
}
template <class T>
inline Vec<T> splat(T x) {
    return x - Vec<T>{};  // x + 0 would turn -0 into 0
}
// a where it is smaller (larger) than b, else b: NaN in b stays. Spelled out, as compilers make two
// instructions of a comparison and a choice.
template <class T>
inline Vec<T> smaller(const Vec<T>& a, const Vec<T>& b) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) return _mm512_min_ps(a, b);
    if constexpr (sizeof(T) == 8) return _mm512_min_pd(a, b);
#elif defined(__AVX__)
    if constexpr (sizeof(T) == 4) return _mm256_min_ps(a, b);
    if constexpr (sizeof(T) == 8) return _mm256_min_pd(a, b);
#endif
    return a < b ? a : b;
}
template <class T>
inline Vec<T> larger(const Vec<T>& a, const Vec<T>& b) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) return _mm512_max_ps(a, b);
    if constexpr (sizeof(T) == 8) return _mm512_max_pd(a, b);
#elif defined(__AVX__)
    if constexpr (sizeof(T) == 4) return _mm256_max_ps(a, b);
    if constexpr (sizeof(T) == 8) return _mm256_max_pd(a, b);
#endif
    return a > b ? a : b;
}
template <class T>
inline Vec<T> sqrt(Vec<T> v) {  // one instruction: compiled without errno
    for (int i = 0; i < lanes<T>; ++i) v[i] = __builtin_sqrt(v[i]);
    return v;
}

// v as it is: the multiplication that made it is not fused with the addition that uses it.
template <class T>
inline Vec<T> rounded(Vec<T> v) {
#if defined(__AVX512F__)
    asm("" : "+v"(v));
#elif defined(__x86_64__) || defined(__i386__)
    asm("" : "+x"(v));
#elif defined(__aarch64__)
    asm("" : "+w"(v));
#else
    asm("" : "+m"(v));
#endif
    return v;
}

// The first lanes only: nothing behind them is read or written, and the others of what is loaded are
// 0. The vector extension has no masks, so these are written for each set of instructions.
template <class T>
inline Vec<T> load_first(const T* p, Index count) {
    Vec<T> v{};
    std::memcpy(&v, p, count * sizeof(T));
    return v;
}
template <class T>
inline void store_first(T* p, const Vec<T>& v, Index count) {
    std::memcpy(p, &v, count * sizeof(T));
}
#if defined(__AVX512F__)
inline Vec<float> load_first(const float* p, Index count) {
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), p);
}
inline Vec<double> load_first(const double* p, Index count) {
    return _mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << count) - 1), p);
}
inline void store_first(float* p, const Vec<float>& v, Index count) {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1), v);
}
inline void store_first(double* p, const Vec<double>& v, Index count) {
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << count) - 1), v);
}
#elif defined(__AVX2__)
inline __m256i first_words(Index count) {  // of 4 bytes
    alignas(64) static constexpr std::int32_t words[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words + 8 - count));
}
inline Vec<float> load_first(const float* p, Index count) {
    return _mm256_maskload_ps(p, first_words(count));
}
inline Vec<double> load_first(const double* p, Index count) {
    return _mm256_maskload_pd(p, first_words(2 * count));
}
inline void store_first(float* p, const Vec<float>& v, Index count) {
    _mm256_maskstore_ps(p, first_words(count), v);
}
inline void store_first(double* p, const Vec<double>& v, Index count) {
    _mm256_maskstore_pd(p, first_words(2 * count), v);
}
#endif
template <class T>
inline Vec<T> load(const T* p, Index count) {
    return count == lanes<T> ? load(p) : load_first(p, count);
}
template <class T>
inline void store(T* p, const Vec<T>& v, Index count) {
    count == lanes<T> ? store(p, v) : store_first(p, v, count);
}

// f(start, count) over n elements, a vector at a time; the last one may be shorter.
template <class T, class F>
inline void each_vector(Index n, const F& f) {
    Index i = 0;
    for (; i + lanes<T> <= n; i += lanes<T>) f(i, lanes<T>);
    if (i < n) f(i, n - i);
}

// Lane i of the result is lane from[i] of the vectors a and b, counted through both.
#if defined(__clang__)
#define MMB_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MMB_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, LaneNumbers<T>{__VA_ARGS__})
#endif
template <class T>
using LaneNumber = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
template <class T>
using LaneNumbers = Vec<LaneNumber<T>>;

// One step of a transposition: blocks of S x S that stand off the diagonal are exchanged between
// the rows a and b, which are S apart.
template <class T, int S, std::size_t... I>
inline void exchange(Vec<T>& a, Vec<T>& b, std::index_sequence<I...>) {
    constexpr int L = lanes<T>;
    const Vec<T> first = MMB_SHUFFLE(a, b, (I & S ? L + static_cast<int>(I) - S : static_cast<int>(I))...);
    b = MMB_SHUFFLE(a, b, (I & S ? L + static_cast<int>(I) : static_cast<int>(I) + S)...);
    a = first;
}

// As many vectors as they have lanes, as a square: rows become columns.
template <class T, int S = 1>
inline void transpose(Vec<T> (&rows)[lanes<T>]) {
#pragma GCC unroll 16
    for (int i = 0; i < lanes<T>; ++i)
        if (!(i & S)) exchange<T, S>(rows[i], rows[i + S], std::make_index_sequence<lanes<T>>());
    if constexpr (2 * S < lanes<T>) transpose<T, 2 * S>(rows);
}

}  // namespace mmb
