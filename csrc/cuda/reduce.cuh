// Sums and maxima over a warp and over a block; every thread gets the result.
#pragma once
#include "platform.cuh"

constexpr unsigned WARP = 0xffffffffu;

template <class T>
__device__ __forceinline__ T warp_sum(T v) {
#pragma unroll
    for (int lane = 16; lane > 0; lane /= 2) v += __shfl_xor_sync(WARP, v, lane);
    return v;
}

template <class T>
__device__ __forceinline__ T larger(T a, T b) {
    return a > b || a != a ? a : b;  // NaN wins, as in NumPy
}

template <class T>
__device__ __forceinline__ T warp_max(T v) {
#pragma unroll
    for (int lane = 16; lane > 0; lane /= 2) v = larger(v, __shfl_xor_sync(WARP, v, lane));
    return v;
}

// For one-dimensional blocks of whole warps, at most 32 of them.
template <class T>
__device__ __forceinline__ T block_sum(T v) {
    __shared__ T partial[32];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
    v = warp_sum(v);
    __syncthreads();  // `partial` may still be read from the last call
    if (lane == 0) partial[warp] = v;
    __syncthreads();
    return warp_sum(lane < warps ? partial[lane] : T(0));
}

template <class T>
__device__ __forceinline__ T block_max(T v) {
    __shared__ T partial[32];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
    v = warp_max(v);
    __syncthreads();
    if (lane == 0) partial[warp] = v;
    __syncthreads();
    return warp_max(lane < warps ? partial[lane] : T(-INFINITY));
}
