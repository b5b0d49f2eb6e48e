// Adagrad over a table of tensors, as tinygrad_mmb/optim/adagrad.py:
//
//   s ← s + g²,   θ ← θ - lr / (1 + (t - 1) κ) · g / (√s + ε)
//
//   table    θ, g, s; its first scalar is lr / (1 + (t - 1) κ)
//   grid     a block of 256 threads per 4096 numbers of a tensor
//   bytes    20 per float. Not measured yet.
#include "tensor_table.cuh"

template <class T>
__global__ void __launch_bounds__(256)
    adagrad_update(const __grid_constant__ TensorTable<T, 3> table, T eps, T sign, T decay) {
    update_each(table, [=](T(&numbers)[3], T step, T) {
        T &theta = numbers[0], &s = numbers[2];
        const T g = effective(numbers[1], theta, sign, decay);
        s += g * g;
        theta -= step * g / (sqrt(s) + eps);
    });
}

MMB_KERNEL_AS(adagrad_update_f32, adagrad_update<float>);
MMB_KERNEL_AS(adagrad_update_f64, adagrad_update<double>);
