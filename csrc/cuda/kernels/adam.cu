// Adam and AdamW over a table of tensors, as tinygrad_mmb/optim/adam.py:
//
//   m ← β₁ m + (1 - β₁) g,   v ← β₂ v + (1 - β₂) g²,   θ ← θ - lr / (1 - β₁ᵗ) · m / (√(v / (1 - β₂ᵗ)) + ε)
//
//   table    θ, g, m, v and with amsgrad the largest v; its scalars are lr / (1 - β₁ᵗ) and 1 / (1 - β₂ᵗ)
//   grid     a block of 256 threads per 4096 numbers of a tensor
//   bytes    28 per float: θ, m, v read and written, g read
//
// Why it should reach 93 % of a copy: the two quotients by 1 - βᵗ are the host's business, so one
// division and one root are left for 28 bytes, some 40 instructions where an H200 has time for 180. A
// thread has four packs of 16 bytes on their way, and at most 40 registers leave 48 warps on an SM:
// 96 kB under way, where 30 kB suffice. A tensor of any size costs no launch of its own: hundreds of
// small ones take as many launches as tables are filled (68 tensors each). Not measured yet.
#include "reduce.cuh"
#include "tensor_table.cuh"

// eps_inside: √(v̂ + ε) in place of √v̂ + ε.   decoupled: θ shrinks by itself, not through g.
template <class T, int ARRAYS>
__global__ void __launch_bounds__(256)
    adam_update(const __grid_constant__ TensorTable<T, ARRAYS> table, T beta1, T rest1, T beta2, T rest2, T eps,
                T sign, T decay, T shrink, int eps_inside) {
    update_each(table, [=](T(&numbers)[ARRAYS], T step, T unbias) {
        T &theta = numbers[0], &m = numbers[2], &v = numbers[3];
        theta *= shrink;
        const T g = effective(numbers[1], theta, sign, decay);
        m = beta1 * m + rest1 * g;
        v = beta2 * v + rest2 * (g * g);
        T second = v;
        if (ARRAYS == 5) second = numbers[ARRAYS - 1] = larger(numbers[ARRAYS - 1], v);  // amsgrad
        second *= unbias;
        theta -= step * m / (eps_inside ? sqrt(second + eps) : sqrt(second) + eps);
    });
}

MMB_KERNEL_AS(adam_update_f32, adam_update<float, 4>);
MMB_KERNEL_AS(adam_update_f64, adam_update<double, 4>);
MMB_KERNEL_AS(amsgrad_update_f32, adam_update<float, 5>);
MMB_KERNEL_AS(amsgrad_update_f64, adam_update<double, 5>);
