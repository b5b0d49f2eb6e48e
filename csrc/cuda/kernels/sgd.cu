// Stochastic gradient descent over a table of tensors, as tinygrad_mmb/optim/sgd.py:
//
//   θ ← θ - lr g,   or with momentum   m ← keep m + take g,   θ ← θ - step (m, or g + μ m if nesterov)
//
//   table    θ, g and with momentum m; its scalars are keep and take: at a tensor's first step 0 and 1
//   grid     a block of 256 threads per 4096 numbers of a tensor
//   bytes    12 per float, with momentum 20
//
// The four momenta of the lectures differ in `take` and `step` alone (kernels/cuda/sgd.py). Bound by
// memory as adam.cu, whose head says how many tensors share a launch. Not measured yet.
#include "tensor_table.cuh"

template <class T>
__global__ void __launch_bounds__(256)
    sgd_update(const __grid_constant__ TensorTable<T, 2> table, T sign, T decay, T step) {
    update_each(table, [=](T(&numbers)[2], T, T) {
        numbers[0] -= step * effective(numbers[1], numbers[0], sign, decay);
    });
}

template <class T>
__global__ void __launch_bounds__(256)
    momentum_update(const __grid_constant__ TensorTable<T, 3> table, T sign, T decay, T step, T momentum,
                    int nesterov) {
    update_each(table, [=](T(&numbers)[3], T keep, T take) {
        T &theta = numbers[0], &m = numbers[2];
        const T g = effective(numbers[1], theta, sign, decay);
        m = keep * m + take * g;
        theta -= step * (nesterov ? g + momentum * m : m);
    });
}

MMB_KERNEL_AS(sgd_update_f32, sgd_update<float>);
MMB_KERNEL_AS(sgd_update_f64, sgd_update<double>);
MMB_KERNEL_AS(momentum_update_f32, momentum_update<float>);
MMB_KERNEL_AS(momentum_update_f64, momentum_update<double>);
