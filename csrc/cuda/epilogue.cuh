// What a matrix product does to its numbers before it stores them: C = activation(Z), Z = A B + bias.
// The formulas are those of elementwise.cuh. The way back is kernels/bias_activation.cu; that of a
// GELU starts from Z, so a kernel may be given a place to store Z as well.
#pragma once
#include "elementwise.cuh"

enum Activation { LINEAR = 0, RELU = 1, GELU = 2, GELU_TANH = 3 };  // in kernels/cuda/matmul_launch.py too

template <class S>
__device__ __forceinline__ S activate(S v, int activation) {
    return activation == RELU        ? Relu::value(v)
           : activation == GELU      ? Gelu::value(v)
           : activation == GELU_TANH ? GeluTanh::value(v)
                                     : v;
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
    if (activation == RELU) each(numbers, [](auto v) { return Relu::value(v); });
    if (activation == GELU) each(numbers, [](auto v) { return Gelu::value(v); });
    if (activation == GELU_TANH) each(numbers, [](auto v) { return GeluTanh::value(v); });
}
