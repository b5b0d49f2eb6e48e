// Formulas of one number, and how a kernel applies one at every place of its arrays.
#pragma once
#include "storage.cuh"

// y[i] = f(x[i], ...) for i < n, in packs of 16 bytes where all arrays allow it. y may be one of the x:
// a thread reads what it writes, and before it. 2048 threads on an SM have 32 kB on their way per
// array that is read, and some 30 kB suffice for 4.3 TB/s at 0.8 µs.
template <class T, class F, class... X>
__device__ __forceinline__ void map_each(T* y, int64_t n, const F& f, const X*... x) {
    constexpr int N = PACK<T>;
    const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
    const bool aligned = is_aligned16(y) && (... && is_aligned16(x));
    const int64_t packs = aligned ? n / N : 0;
    const auto of_packs = [&](const auto... in) {  // by value: each x is one load of 16 bytes
        Pack<T, N> out;
#pragma unroll
        for (int k = 0; k < N; ++k) out.v[k] = narrow<T>(f(widen(in.v[k])...));
        return out;
    };
    for (int64_t i = first; i < packs; i += step)
        reinterpret_cast<Pack<T, N>*>(y)[i] = of_packs(reinterpret_cast<const Pack<X, N>*>(x)[i]...);
    for (int64_t i = packs * N + first; i < n; i += step) y[i] = narrow<T>(f(widen(x[i])...));
}

// A formula: `value` is y, `slope` the gradient of x from g = ∂L/∂y and what the op saved, x or y.
// As in tinygrad_mmb/ops, which has them one by one. V is float or double.

struct Neg {
    template <class V> __device__ static V value(V x) { return -x; }
};
struct Exp {
    template <class V> __device__ static V value(V x) { return exp(x); }
    template <class V> __device__ static V slope(V g, V y) { return g * y; }
};
struct Log {
    template <class V> __device__ static V value(V x) { return log(x); }
    template <class V> __device__ static V slope(V g, V x) { return g / x; }
};
struct Sqrt {
    template <class V> __device__ static V value(V x) { return sqrt(x); }
    template <class V> __device__ static V slope(V g, V y) { return g / (V(2) * y); }
};
struct Tanh {
    template <class V> __device__ static V value(V x) { return tanh(x); }
    template <class V> __device__ static V slope(V g, V y) { return g * (V(1) - y * y); }
};
struct Sigmoid {  // e⁻ˣ overflows to ∞ for very negative x, and 1 / ∞ = 0 is then right
    template <class V> __device__ static V value(V x) { return V(1) / (V(1) + exp(-x)); }
    template <class V> __device__ static V slope(V g, V y) { return g * ((V(1) - y) * y); }
};
struct Erf {
    template <class V> __device__ static V value(V x) { return erf(x); }
    template <class V> __device__ static V slope(V g, V x) {
        return g * (V(1.1283791670955126) * exp(-(x * x)));  // 2 / √π
    }
};
struct Relu {  // of a NaN it is NaN, and its gradient passes; -0 stays -0
    template <class V> __device__ static V value(V x) { return x < V(0) ? V(0) : x; }
    template <class V> __device__ static V slope(V g, V y) { return y <= V(0) ? V(0) : g; }
};
struct Gelu {  // x Φ(x), with Φ the normal distribution function
    template <class V> __device__ static V below(V x) {
        return V(0.5) * (V(1) + erf(x * V(0.70710678118654752)));  // √½
    }
    template <class V> __device__ static V value(V x) { return x * below(x); }
    template <class V> __device__ static V slope(V g, V x) {
        return g * (below(x) + x * V(0.39894228040143268) * exp(V(-0.5) * x * x));  // 1 / √2π
    }
};
struct GeluTanh {  // x/2 (1 + tanh u) with u = √(2/π) (x + 0.044715 x³)
    template <class V> __device__ static V bend(V x) {
        return tanh(V(0.79788456080286536) * (x + V(0.044715) * x * x * x));
    }
    template <class V> __device__ static V value(V x) { return V(0.5) * x * (V(1) + bend(x)); }
    template <class V> __device__ static V slope(V g, V x) {
        const V t = bend(x), du = V(0.79788456080286536) * (V(1) + V(3 * 0.044715) * x * x);
        return g * (V(0.5) * (V(1) + t) + V(0.5) * x * (V(1) - t * t) * du);
    }
};
struct Silu {
    template <class V> __device__ static V value(V x) { return x * Sigmoid::value(x); }
    template <class V> __device__ static V slope(V g, V x) {
        const V s = Sigmoid::value(x);
        return g * (s * (V(1) + x * (V(1) - s)));
    }
};

struct Add {
    template <class V> __device__ static V value(V a, V b) { return a + b; }
};
struct Sub {
    template <class V> __device__ static V value(V a, V b) { return a - b; }
};
struct Mul {
    template <class V> __device__ static V value(V a, V b) { return a * b; }
};
struct Div {
    template <class V> __device__ static V value(V a, V b) { return a / b; }
};
