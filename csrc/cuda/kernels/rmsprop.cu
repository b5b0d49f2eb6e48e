// RMSprop over a table of tensors, as tinygrad_mmb/optim/rmsprop.py:
//
//   v ← α v + (1 - α) g²,   s = √v + ε,   θ ← θ - lr g / s
//   centered: m ← α m + (1 - α) g,  s = √(v - m²) + ε     momentum: b ← μ b + g / s,  θ ← θ - lr b
//
//   table    θ, g, v, then b if momentum, then m if centered; no scalars
//   grid     a block of 256 threads per 4096 numbers of a tensor
//   bytes    20 per float, 8 more for each of b and m. Not measured yet.
#include "tensor_table.cuh"

template <class T, bool MOMENTUM, bool CENTERED>
__global__ void __launch_bounds__(256)
    rmsprop_update(const __grid_constant__ TensorTable<T, 3 + MOMENTUM + CENTERED> table, T lr, T alpha, T rest,
                   T eps, T sign, T decay, T momentum) {
    constexpr int ARRAYS = 3 + MOMENTUM + CENTERED;
    update_each(table, [=](T(&numbers)[ARRAYS], T, T) {
        T &theta = numbers[0], &v = numbers[2];
        const T g = effective(numbers[1], theta, sign, decay);
        v = alpha * v + rest * (g * g);
        T variance = v;
        if (CENTERED) {
            T& m = numbers[ARRAYS - 1];
            m = alpha * m + rest * g;
            variance -= m * m;
        }
        const T move = g / (sqrt(variance) + eps);
        if (MOMENTUM) {
            T& b = numbers[3 - !MOMENTUM];
            b = momentum * b + move;
            theta -= lr * b;
        } else {
            theta -= lr * move;
        }
    });
}

MMB_KERNEL_AS(rmsprop_update_f32, rmsprop_update<float, false, false>);
MMB_KERNEL_AS(rmsprop_update_f64, rmsprop_update<double, false, false>);
MMB_KERNEL_AS(rmsprop_momentum_update_f32, rmsprop_update<float, true, false>);
MMB_KERNEL_AS(rmsprop_momentum_update_f64, rmsprop_update<double, true, false>);
MMB_KERNEL_AS(rmsprop_centered_update_f32, rmsprop_update<float, false, true>);
MMB_KERNEL_AS(rmsprop_centered_update_f64, rmsprop_update<double, false, true>);
MMB_KERNEL_AS(rmsprop_momentum_centered_update_f32, rmsprop_update<float, true, true>);
MMB_KERNEL_AS(rmsprop_momentum_centered_update_f64, rmsprop_update<double, true, true>);
