// Vectors of the processor's own width, in the compilers' vector extension: one source serves
// AVX-512, AVX2, SSE2 and NEON, under g++ and clang. The width follows from the flags that the
// module is compiled with (VARIANTS in setup.py).
#pragma once
#include <cstring>

#include "array.hpp"

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
    return Vec<T>{} + x;
}
template <class T>
inline Vec<T> sqrt(Vec<T> v) {  // one instruction: compiled without errno
    for (int i = 0; i < lanes<T>; ++i) v[i] = __builtin_sqrt(v[i]);
    return v;
}

// f(vector) over n elements, the last ones in a vector filled up with zeros.
template <class T, class F>
inline void each_vector(Index n, const F& f) {
    Index i = 0;
    for (; i + lanes<T> <= n; i += lanes<T>) f(i, lanes<T>);
    if (i < n) f(i, n - i);
}
template <class T>
inline Vec<T> load(const T* p, Index count) {
    if (count == lanes<T>) return load(p);
    Vec<T> v{};
    std::memcpy(&v, p, count * sizeof(T));
    return v;
}
template <class T>
inline void store(T* p, const Vec<T>& v, Index count) {
    std::memcpy(p, &v, count * sizeof(T));
}

}  // namespace mmb
