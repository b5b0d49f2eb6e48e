// What a matrix product does to its numbers before it stores them: y = activation(x + bias).
#pragma once
#include "storage.cuh"

enum Activation { LINEAR = 0, RELU = 1, GELU = 2 };  // in tinygrad_mmb/kernels/cuda/matmul.py too

template <class S>
__device__ __forceinline__ S relu(S v) {
    return v < S(0) ? S(0) : v;  // a NaN stays one
}

// v Φ(v), the exact one, PyTorch's default.
template <class S>
__device__ __forceinline__ S gelu(S v) {
    return S(0.5) * v * (S(1) + erf(v * S(0.70710678118654752)));  // √½
}

template <class S>
__device__ __forceinline__ S activate(S v, int activation) {
    return activation == RELU ? relu(v) : activation == GELU ? gelu(v) : v;
}

template <class S, class F>
__device__ __forceinline__ void each(S& number, F change) {
    number = change(number);
}
template <class S, int N, class F>
__device__ __forceinline__ void each(S (&numbers)[N], F change) {
#pragma unroll
    for (int i = 0; i < N; ++i) each(numbers[i], change);
}

// All numbers of a thread, an array of arrays: one branch, and not one for each.
template <class A, int N>
__device__ __forceinline__ void activate(A (&numbers)[N], int activation) {
    if (activation == RELU) each(numbers, [](auto v) { return relu(v); });
    if (activation == GELU) each(numbers, [](auto v) { return gelu(v); });
}
