// The largest x and Σ exp(x - largest) in one pass (Milakov and Gimelshein, 2018): when a larger x
// comes, the sum so far is scaled down to it.
#pragma once
#include "rows.cuh"

template <class T>
struct OnlineSum {
    using V = computed_t<T>;
    V largest = -INFINITY;  // NaN is not kept here; it is in the sum
    V sum = 0;

    __device__ __forceinline__ void add(V x) {
        if (x > largest) {
            sum = sum * exponential<T>(largest - x) + (V(1) + (x - x));  // exp 0, or NaN for x = ∞
            largest = x;
        } else if (!(x == -INFINITY)) {  // exp(-∞ - -∞) would be NaN
            sum += exponential<T>(x - largest);
        }
    }
};
