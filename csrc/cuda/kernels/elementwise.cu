// y = f(x) at every place, and ∂L/∂x = f'(x) ∂L/∂y: one kernel for all formulas of elementwise.cuh.
//
//   map_one    y, x (n); map_slope  dx, g, saved (n): saved is what the op's setup_context keeps, x or y
//   grid       some blocks of 256 threads, which walk the arrays together
//   bytes      2 · n · sizeof(T), and 3 · on the way back
//
// The goal of 95 % of a copy asks that arithmetic hides behind the loads: at 8 bytes a float there is
// time for 50 instructions, and erf, the longest, takes some 30. Not measured yet.
#include "elementwise.cuh"

template <class T, class F>
__global__ void map_one(T* y, const T* x, int64_t n) {
    map_each(y, n, [](auto x) { return F::value(x); }, x);
}

template <class T, class F>
__global__ void map_slope(T* dx, const T* g, const T* saved, int64_t n) {
    map_each(dx, n, [](auto g, auto saved) { return F::slope(g, saved); }, g, saved);
}

MMB_KERNEL_AS(neg_f32, map_one<float, Neg>);
MMB_KERNEL_AS(neg_f64, map_one<double, Neg>);
MMB_KERNEL_AS(neg_f16, map_one<__half, Neg>);
MMB_KERNEL_AS(exp_f32, map_one<float, Exp>);
MMB_KERNEL_AS(exp_f64, map_one<double, Exp>);
MMB_KERNEL_AS(exp_f16, map_one<__half, Exp>);
MMB_KERNEL_AS(log_f32, map_one<float, Log>);
MMB_KERNEL_AS(log_f64, map_one<double, Log>);
MMB_KERNEL_AS(log_f16, map_one<__half, Log>);
MMB_KERNEL_AS(sqrt_f32, map_one<float, Sqrt>);
MMB_KERNEL_AS(sqrt_f64, map_one<double, Sqrt>);
MMB_KERNEL_AS(sqrt_f16, map_one<__half, Sqrt>);
MMB_KERNEL_AS(tanh_f32, map_one<float, Tanh>);
MMB_KERNEL_AS(tanh_f64, map_one<double, Tanh>);
MMB_KERNEL_AS(tanh_f16, map_one<__half, Tanh>);
MMB_KERNEL_AS(sigmoid_f32, map_one<float, Sigmoid>);
MMB_KERNEL_AS(sigmoid_f64, map_one<double, Sigmoid>);
MMB_KERNEL_AS(sigmoid_f16, map_one<__half, Sigmoid>);
MMB_KERNEL_AS(erf_f32, map_one<float, Erf>);
MMB_KERNEL_AS(erf_f64, map_one<double, Erf>);
MMB_KERNEL_AS(erf_f16, map_one<__half, Erf>);
MMB_KERNEL_AS(relu_f32, map_one<float, Relu>);
MMB_KERNEL_AS(relu_f64, map_one<double, Relu>);
MMB_KERNEL_AS(relu_f16, map_one<__half, Relu>);
MMB_KERNEL_AS(gelu_f32, map_one<float, Gelu>);
MMB_KERNEL_AS(gelu_f64, map_one<double, Gelu>);
MMB_KERNEL_AS(gelu_f16, map_one<__half, Gelu>);
MMB_KERNEL_AS(gelu_tanh_f32, map_one<float, GeluTanh>);
MMB_KERNEL_AS(gelu_tanh_f64, map_one<double, GeluTanh>);
MMB_KERNEL_AS(gelu_tanh_f16, map_one<__half, GeluTanh>);
MMB_KERNEL_AS(silu_f32, map_one<float, Silu>);
MMB_KERNEL_AS(silu_f64, map_one<double, Silu>);
MMB_KERNEL_AS(silu_f16, map_one<__half, Silu>);

MMB_KERNEL_AS(exp_slope_f32, map_slope<float, Exp>);
MMB_KERNEL_AS(exp_slope_f64, map_slope<double, Exp>);
MMB_KERNEL_AS(exp_slope_f16, map_slope<__half, Exp>);
MMB_KERNEL_AS(log_slope_f32, map_slope<float, Log>);
MMB_KERNEL_AS(log_slope_f64, map_slope<double, Log>);
MMB_KERNEL_AS(log_slope_f16, map_slope<__half, Log>);
MMB_KERNEL_AS(sqrt_slope_f32, map_slope<float, Sqrt>);
MMB_KERNEL_AS(sqrt_slope_f64, map_slope<double, Sqrt>);
MMB_KERNEL_AS(sqrt_slope_f16, map_slope<__half, Sqrt>);
MMB_KERNEL_AS(tanh_slope_f32, map_slope<float, Tanh>);
MMB_KERNEL_AS(tanh_slope_f64, map_slope<double, Tanh>);
MMB_KERNEL_AS(tanh_slope_f16, map_slope<__half, Tanh>);
MMB_KERNEL_AS(sigmoid_slope_f32, map_slope<float, Sigmoid>);
MMB_KERNEL_AS(sigmoid_slope_f64, map_slope<double, Sigmoid>);
MMB_KERNEL_AS(sigmoid_slope_f16, map_slope<__half, Sigmoid>);
MMB_KERNEL_AS(erf_slope_f32, map_slope<float, Erf>);
MMB_KERNEL_AS(erf_slope_f64, map_slope<double, Erf>);
MMB_KERNEL_AS(erf_slope_f16, map_slope<__half, Erf>);
MMB_KERNEL_AS(relu_slope_f32, map_slope<float, Relu>);
MMB_KERNEL_AS(relu_slope_f64, map_slope<double, Relu>);
MMB_KERNEL_AS(relu_slope_f16, map_slope<__half, Relu>);
MMB_KERNEL_AS(gelu_slope_f32, map_slope<float, Gelu>);
MMB_KERNEL_AS(gelu_slope_f64, map_slope<double, Gelu>);
MMB_KERNEL_AS(gelu_slope_f16, map_slope<__half, Gelu>);
MMB_KERNEL_AS(gelu_tanh_slope_f32, map_slope<float, GeluTanh>);
MMB_KERNEL_AS(gelu_tanh_slope_f64, map_slope<double, GeluTanh>);
MMB_KERNEL_AS(gelu_tanh_slope_f16, map_slope<__half, GeluTanh>);
MMB_KERNEL_AS(silu_slope_f32, map_slope<float, Silu>);
MMB_KERNEL_AS(silu_slope_f64, map_slope<double, Silu>);
MMB_KERNEL_AS(silu_slope_f16, map_slope<__half, Silu>);
