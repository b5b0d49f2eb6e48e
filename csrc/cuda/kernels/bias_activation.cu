// What follows a matrix product: y = activation(x + bias), the bias a number per column; and the way back,
// dz = activation'(x + bias) ∂L/∂y, where z = x + bias.
//
//   y, x, g, dz   (rows, cols), contiguous; bias (cols); y may be x, dz may be g
//   grid          a block of (columns, rows) threads, as many columns as a row has use for
//   bytes         2 · rows · cols · sizeof(T) there, 3 · back; the bias stays in the cache
//
// Three passes in one: PyTorch without compilation reads and writes x for the sum and again for the
// activation. ∂L/∂bias is the sum of dz over its rows, which is a reduction and not here. matmul has
// this as its epilogue, which saves the pass altogether. Not measured yet.
#include "elementwise.cuh"

// All of a row's packs, or its numbers where a row does not begin at a multiple of 16 bytes.
template <class T, class F, class... X>
__device__ __forceinline__ void map_rows(T* y, const T* bias, int64_t rows, int64_t cols, const F& f, const X*... x) {
    constexpr int N = PACK<T>;
    const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    const int64_t start = row * cols;
    const bool aligned = is_aligned16(y) && is_aligned16(bias) && (... && is_aligned16(x)) && cols % N == 0;
    const int64_t packs = aligned ? cols / N : 0;
    const auto of_packs = [&](const Pack<T, N> b, const auto... in) {  // by value: one load of 16 bytes each
        Pack<T, N> out;
#pragma unroll
        for (int k = 0; k < N; ++k) out.v[k] = narrow<T>(f(widen(b.v[k]), widen(in.v[k])...));
        return out;
    };
    for (int64_t j = threadIdx.x; j < packs; j += blockDim.x)
        reinterpret_cast<Pack<T, N>*>(y + start)[j] = of_packs(
            reinterpret_cast<const Pack<T, N>*>(bias)[j], reinterpret_cast<const Pack<X, N>*>(x + start)[j]...);
    for (int64_t j = packs * N + threadIdx.x; j < cols; j += blockDim.x)
        y[start + j] = narrow<T>(f(widen(bias[j]), widen(x[start + j])...));
}

template <class T, class F>
__global__ void __launch_bounds__(256) bias_activation(T* y, const T* x, const T* bias, int64_t rows, int64_t cols) {
    map_rows(y, bias, rows, cols, [](auto b, auto x) { return F::value(x + b); }, x);
}

// Nothing but x is kept. `slope` is asked at z: of a ReLU z and y have the same sign, so z will do.
template <class T, class F>
__global__ void __launch_bounds__(256)
    bias_activation_slope(T* dz, const T* g, const T* x, const T* bias, int64_t rows, int64_t cols) {
    map_rows(dz, bias, rows, cols, [](auto b, auto g, auto x) { return F::slope(g, x + b); }, g, x);
}

MMB_KERNEL_AS(bias_relu_f32, bias_activation<float, Relu>);
MMB_KERNEL_AS(bias_relu_f64, bias_activation<double, Relu>);
MMB_KERNEL_AS(bias_relu_f16, bias_activation<__half, Relu>);
MMB_KERNEL_AS(bias_gelu_f32, bias_activation<float, Gelu>);
MMB_KERNEL_AS(bias_gelu_f64, bias_activation<double, Gelu>);
MMB_KERNEL_AS(bias_gelu_f16, bias_activation<__half, Gelu>);
MMB_KERNEL_AS(bias_gelu_tanh_f32, bias_activation<float, GeluTanh>);
MMB_KERNEL_AS(bias_gelu_tanh_f64, bias_activation<double, GeluTanh>);
MMB_KERNEL_AS(bias_gelu_tanh_f16, bias_activation<__half, GeluTanh>);
MMB_KERNEL_AS(bias_silu_f32, bias_activation<float, Silu>);
MMB_KERNEL_AS(bias_silu_f64, bias_activation<double, Silu>);
MMB_KERNEL_AS(bias_silu_f16, bias_activation<__half, Silu>);

MMB_KERNEL_AS(bias_relu_slope_f32, bias_activation_slope<float, Relu>);
MMB_KERNEL_AS(bias_relu_slope_f64, bias_activation_slope<double, Relu>);
MMB_KERNEL_AS(bias_relu_slope_f16, bias_activation_slope<__half, Relu>);
MMB_KERNEL_AS(bias_gelu_slope_f32, bias_activation_slope<float, Gelu>);
MMB_KERNEL_AS(bias_gelu_slope_f64, bias_activation_slope<double, Gelu>);
MMB_KERNEL_AS(bias_gelu_slope_f16, bias_activation_slope<__half, Gelu>);
MMB_KERNEL_AS(bias_gelu_tanh_slope_f32, bias_activation_slope<float, GeluTanh>);
MMB_KERNEL_AS(bias_gelu_tanh_slope_f64, bias_activation_slope<double, GeluTanh>);
MMB_KERNEL_AS(bias_gelu_tanh_slope_f16, bias_activation_slope<__half, GeluTanh>);
MMB_KERNEL_AS(bias_silu_slope_f32, bias_activation_slope<float, Silu>);
MMB_KERNEL_AS(bias_silu_slope_f64, bias_activation_slope<double, Silu>);
MMB_KERNEL_AS(bias_silu_slope_f16, bias_activation_slope<__half, Silu>);
