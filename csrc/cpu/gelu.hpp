// GELU(x) = x Φ(x) and its slope Φ + x Φ', with Φ exactly or by PyTorch's formula with a tanh.
#pragma once
#include "vector_math.hpp"

namespace mmb {

template <class T>
const T root_two_over_pi = 0.79788456080286535588;
template <class T>
const T root_half = 0.70710678118654752440;

// Φ(x): how much of a bell curve lies below x. Exactly, and as (1 + tanh u) / 2.
template <class T>
Vec<T> below(const Vec<T>& x) {
    return T(0.5) * (1 + erf(Vec<T>(x * root_half<T>)));
}
template <class T>
Vec<T> nearly_below(const Vec<T>& x) {
    return T(0.5) * (1 + tanh<T>(root_two_over_pi<T> * (x + T(0.044715) * (x * x * x))));
}

template <class T>
Vec<T> gelu_slope(const Vec<T>& x) {
    return below<T>(x) + x * (exp<T>(T(-0.5) * (x * x)) * T(0.39894228040143267794));
}
template <class T>
Vec<T> gelu_tanh_slope(const Vec<T>& x) {
    const Vec<T> phi = nearly_below<T>(x), du = root_two_over_pi<T> * (1 + T(3 * 0.044715) * (x * x));
    return phi + x * (2 * phi * (1 - phi) * du);
}

}  // namespace mmb
