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

// All numbers of a thread: one branch, and not one for each.
template <class S, int ROWS, int COLS>
__device__ __forceinline__ void activate(S (&v)[ROWS][COLS], int activation) {
    if (activation == RELU) {
#pragma unroll
        for (int i = 0; i < ROWS * COLS; ++i) v[i / COLS][i % COLS] = relu(v[i / COLS][i % COLS]);
    } else if (activation == GELU) {
#pragma unroll
        for (int i = 0; i < ROWS * COLS; ++i) v[i / COLS][i % COLS] = gelu(v[i / COLS][i % COLS]);
    }
}
