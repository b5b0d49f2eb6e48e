// Numbers as they are stored, and as they are computed with: 16 bits in memory are float in registers.
#pragma once
#include "platform.cuh"

template <class T>
struct Computed {
    using type = T;
};
template <>
struct Computed<__half> {
    using type = float;
};
template <>
struct Computed<__nv_bfloat16> {
    using type = float;
};
template <class T>
using computed_t = typename Computed<T>::type;  // float, or double for double

__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ double widen(double x) { return x; }
__device__ __forceinline__ float widen(__half x) { return __half2float(x); }
__device__ __forceinline__ float widen(__nv_bfloat16 x) { return __bfloat162float(x); }

template <class T>
__device__ __forceinline__ T narrow(computed_t<T> x) {
    return x;
}
template <>
__device__ __forceinline__ __half narrow<__half>(float x) {
    return __float2half_rn(x);
}
template <>
__device__ __forceinline__ __nv_bfloat16 narrow<__nv_bfloat16>(float x) {
    return __float2bfloat16_rn(x);
}

// N neighbours moved by one instruction: 16 bytes are the most that a thread moves at once.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
    T v[N];
};

template <class T>
constexpr int PACK = 16 / sizeof(T);

// Whether a row may be moved in packs: it starts at a multiple of 16 bytes.
__device__ __forceinline__ bool is_aligned16(const void* p) {
    return (reinterpret_cast<uintptr_t>(p) & 15) == 0;
}
