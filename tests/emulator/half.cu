// A kernel that forgets half of its output, and one that reads before anybody has written.
#include "platform.cuh"

template <class T>
__global__ void half_of(T* y, const T* x, int n) {
    const int i = threadIdx.x;
    if (i < n / 2) y[i] = x[i];
}
template <class T>
__global__ void sum_into(T* y, const T* x, int n) {
    const int i = threadIdx.x;
    if (i < n) y[i] = static_cast<T>(static_cast<float>(y[i]) + static_cast<float>(x[i]));  // reads first
}
MMB_KERNEL_AS(half_of_f32, half_of<float>);
MMB_KERNEL_AS(half_of_f64, half_of<double>);
MMB_KERNEL_AS(half_of_f16, half_of<__half>);
MMB_KERNEL_AS(half_of_i32, half_of<int>);
MMB_KERNEL_AS(half_of_i64, half_of<long long>);
MMB_KERNEL_AS(sum_into_f32, sum_into<float>);
MMB_KERNEL_AS(sum_into_f64, sum_into<double>);
MMB_KERNEL_AS(sum_into_f16, sum_into<__half>);
MMB_KERNEL_AS(sum_into_i32, sum_into<int>);
MMB_KERNEL_AS(sum_into_i64, sum_into<long long>);
