// y = a ∘ b for the four operations, where a and b may have to be broadcast against each other.
//
//   combine         y, a, b (n), all lying alike; for an operand that is one number, a null pointer and
//                   the number
//   combine_rows    y (outer[0], outer[1], outer[2], inner), contiguous; a and b with a stride for each
//                   of the four, 0 where the operand is repeated
//   grid            combine: some blocks that walk the arrays together; combine_rows: a block of
//                   (columns, rows) threads, as many columns as a row has use for
//   bytes           3 · n · sizeof(T), less what repeats. Not measured yet.
//
// combine_rows divides three times for a row, and not for each of its numbers.
#include "elementwise.cuh"

template <class T, class F>
__global__ void combine(T* y, const T* a, const T* b, computed_t<T> a_number, computed_t<T> b_number, int64_t n) {
    if (a && b) map_each(y, n, [](auto a, auto b) { return F::value(a, b); }, a, b);
    else if (a) map_each(y, n, [=](auto a) { return F::value(a, b_number); }, a);
    else map_each(y, n, [=](auto b) { return F::value(a_number, b); }, b);
}

struct Broadcast {
    int64_t outer[3], inner;
    int64_t a_strides[4], b_strides[4];  // in numbers; the last is the inner one
};

template <class T, class F>
__global__ void __launch_bounds__(256)
    combine_rows(T* y, const T* a, const T* b, const __grid_constant__ Broadcast shape) {
    const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
    if (row >= shape.outer[0] * shape.outer[1] * shape.outer[2]) return;
    int64_t rest = row;
#pragma unroll
    for (int d = 2; d >= 0; --d) {
        const int64_t at = rest % shape.outer[d];
        rest /= shape.outer[d];
        a += at * shape.a_strides[d];
        b += at * shape.b_strides[d];
    }
    for (int64_t j = threadIdx.x; j < shape.inner; j += blockDim.x)
        y[row * shape.inner + j] =
            narrow<T>(F::value(widen(a[j * shape.a_strides[3]]), widen(b[j * shape.b_strides[3]])));
}

MMB_KERNEL_AS(add_f32, combine<float, Add>);
MMB_KERNEL_AS(add_f64, combine<double, Add>);
MMB_KERNEL_AS(sub_f32, combine<float, Sub>);
MMB_KERNEL_AS(sub_f64, combine<double, Sub>);
MMB_KERNEL_AS(mul_f32, combine<float, Mul>);
MMB_KERNEL_AS(mul_f64, combine<double, Mul>);
MMB_KERNEL_AS(div_f32, combine<float, Div>);
MMB_KERNEL_AS(div_f64, combine<double, Div>);

MMB_KERNEL_AS(add_rows_f32, combine_rows<float, Add>);
MMB_KERNEL_AS(add_rows_f64, combine_rows<double, Add>);
MMB_KERNEL_AS(sub_rows_f32, combine_rows<float, Sub>);
MMB_KERNEL_AS(sub_rows_f64, combine_rows<double, Sub>);
MMB_KERNEL_AS(mul_rows_f32, combine_rows<float, Mul>);
MMB_KERNEL_AS(mul_rows_f64, combine_rows<double, Mul>);
MMB_KERNEL_AS(div_rows_f32, combine_rows<float, Div>);
MMB_KERNEL_AS(div_rows_f64, combine_rows<double, Div>);
