// Many tensors in one launch: a table of their addresses, which the kernel gets by value.
//
// A model has hundreds of parameters, most of them small. At a launch each, an optimizer would wait
// for the launches (some 3 µs each) and not for the memory. Here the blocks of one launch are shared
// out among the tensors: `first_blocks` says where each begins, and a block finds its own by halving
// that list, which all its threads read from the constant cache at once.
#pragma once
#include "storage.cuh"

constexpr int CHUNK = 4096;  // numbers that a block updates; tinygrad_mmb/kernels/launch/table.py

template <class T, int ARRAYS>
struct TensorTable {
    // parameters of a kernel have 4 kB in all, of which a few numbers are left for the options
    static constexpr int TENSORS = 3840 / (8 * ARRAYS + 16 + 2 * sizeof(T));

    T* arrays[ARRAYS][TENSORS];  // 0: θ, 1: g, then what the optimizer remembers
    int64_t sizes[TENSORS];
    int64_t first_blocks[TENSORS];
    T scalars[2][TENSORS];  // what depends on the step t, which tensors count for themselves
    int64_t count;
};

// Call rule(numbers, scalar 0, scalar 1) for every place of every tensor: `numbers` holds θ, g and the
// states of one place, and comes back changed. All but g is written.
template <class T, int ARRAYS, class Rule>
__device__ __forceinline__ void update_each(const TensorTable<T, ARRAYS>& table, const Rule& rule) {
    constexpr int N = PACK<T>;
    int tensor = 0;
    for (int after = static_cast<int>(table.count); after - tensor > 1;) {
        const int middle = (tensor + after) / 2;
        if (table.first_blocks[middle] <= blockIdx.x) tensor = middle;
        else after = middle;
    }
    const T s0 = table.scalars[0][tensor], s1 = table.scalars[1][tensor];
    const int64_t begin = (blockIdx.x - table.first_blocks[tensor]) * CHUNK;
    const int64_t rest = table.sizes[tensor] - begin;
    const int length = rest < CHUNK ? static_cast<int>(rest) : CHUNK;
    T* at[ARRAYS];
    bool aligned = true;
#pragma unroll
    for (int k = 0; k < ARRAYS; ++k) {
        at[k] = table.arrays[k][tensor] + begin;
        aligned = aligned && is_aligned16(at[k]);
    }
    const int packed = aligned ? length / N * N : 0;
    for (int i = threadIdx.x * N; i < packed; i += blockDim.x * N) {
        Pack<T, N> packs[ARRAYS];
#pragma unroll
        for (int k = 0; k < ARRAYS; ++k) packs[k] = *reinterpret_cast<const Pack<T, N>*>(at[k] + i);
#pragma unroll
        for (int j = 0; j < N; ++j) {
            T numbers[ARRAYS];
#pragma unroll
            for (int k = 0; k < ARRAYS; ++k) numbers[k] = packs[k].v[j];
            rule(numbers, s0, s1);
#pragma unroll
            for (int k = 0; k < ARRAYS; ++k) packs[k].v[j] = numbers[k];
        }
#pragma unroll
        for (int k = 0; k < ARRAYS; ++k)
            if (k != 1) *reinterpret_cast<Pack<T, N>*>(at[k] + i) = packs[k];
    }
    for (int i = packed + threadIdx.x; i < length; i += blockDim.x) {
        T numbers[ARRAYS];
#pragma unroll
        for (int k = 0; k < ARRAYS; ++k) numbers[k] = at[k][i];
        rule(numbers, s0, s1);
#pragma unroll
        for (int k = 0; k < ARRAYS; ++k)
            if (k != 1) at[k][i] = numbers[k];
    }
}

// The gradient as the rules want it: turned round to climb, and with the pull of weight decay.
template <class T>
__device__ __forceinline__ T effective(T g, T theta, T sign, T decay) {
    g *= sign;
    return decay != T(0) ? g + decay * theta : g;  // 0 · ∞ would be NaN
}
