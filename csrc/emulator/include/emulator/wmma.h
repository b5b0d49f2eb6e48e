// nvcuda::wmma: D = A · B + C by a warp, on tensor cores.
//
// Which element a lane holds is the hardware's secret, so here it is simple: with E = elements / 32,
// lane l holds elements l·E to l·E + E - 1 of the matrix, row by row. Sums are made in float (of half
// accumulators too, rounded at the end), in order of k; a GPU's order is its own.
#pragma once
#include "emulator/bfloat16.h"
#include "emulator/half.h"
#include "emulator/math.h"
#include "emulator/warp.h"

namespace nvcuda::wmma {

struct matrix_a {};
struct matrix_b {};
struct accumulator {};
struct row_major {};
struct col_major {};
enum layout_t { mem_row_major, mem_col_major };
namespace precision {
struct tf32 {};
}  // namespace precision

// 10 bits of fraction, to nearest, ties away from zero.
EMULATOR_INLINE float __float_to_tf32(float x) {
    const unsigned bits = __float_as_uint(x);
    if ((bits & 0x7f800000u) == 0x7f800000u) return x;
    return __uint_as_float((bits + 0x1000u) & 0xffffe000u);
}

template <class T>
struct Stored {  // how an element lies in memory and in a fragment
    using type = T;
};
template <>
struct Stored<precision::tf32> {
    using type = float;
};

template <int M, int N, int K>
constexpr bool is_shape = (M == 16 && N == 16 && (K == 16 || K == 8)) || (M == 32 && N == 8 && K == 16) || (M == 8 && N == 32 && K == 16);

template <class Use, int M, int N, int K, class T, class Layout = void>
struct fragment {
    static_assert(is_shape<M, N, K>, "wmma: the shapes are 16x16x16, 32x8x16, 8x32x16, and 16x16x8 for tf32");
    static constexpr int rows = std::is_same<Use, matrix_b>::value ? K : M;
    static constexpr int cols = std::is_same<Use, matrix_a>::value ? K : N;
    static constexpr int num_elements = rows * cols / 32;
    static constexpr int num_storage_elements = num_elements;
    using element_type = typename Stored<T>::type;
    element_type x[num_elements];
};

template <class Use, int M, int N, int K, class T, class Layout>
EMULATOR_INLINE void fill_fragment(fragment<Use, M, N, K, T, Layout>& f, typename Stored<T>::type value) {
    for (auto& x : f.x) x = value;
}

template <class T>
EMULATOR_INLINE void check_matrix(const T* p, unsigned stride, emulator::Place at) {
    __syncwarp(~0u, at);  // all lanes load one matrix
    if (reinterpret_cast<std::uintptr_t>(p) % 32) emulator::fail("misaligned", at, "wmma: the matrix begins at no multiple of 32 bytes");
    if (stride * sizeof(T) % 16) emulator::fail("misaligned", at, "wmma: rows %u elements apart, but it must be a multiple of 16 bytes", stride);
}

template <bool BY_COLUMNS, class Fragment, class T>
EMULATOR_INLINE void load(Fragment& f, const T* p, unsigned stride) {
    for (int e = 0; e < Fragment::num_elements; ++e) {
        const int i = emulator::mmb_thread.lane * Fragment::num_elements + e, row = i / Fragment::cols, col = i % Fragment::cols;
        f.x[e] = BY_COLUMNS ? p[col * stride + row] : p[row * stride + col];
    }
}

template <class Use, int M, int N, int K, class T, class Layout>
EMULATOR_INLINE void load_matrix_sync(fragment<Use, M, N, K, T, Layout>& f, const typename Stored<T>::type* p, unsigned stride,
                                      emulator::Place at = emulator::Place::here()) {
    static_assert(!std::is_same<Use, accumulator>::value, "wmma: loading an accumulator takes a layout");
    check_matrix(p, stride, at);
    load<std::is_same<Layout, col_major>::value>(f, p, stride);
}
template <int M, int N, int K, class T>
EMULATOR_INLINE void load_matrix_sync(fragment<accumulator, M, N, K, T>& f, const T* p, unsigned stride, layout_t layout,
                                      emulator::Place at = emulator::Place::here()) {
    check_matrix(p, stride, at);
    layout == mem_col_major ? load<true>(f, p, stride) : load<false>(f, p, stride);
}
template <int M, int N, int K, class T>
EMULATOR_INLINE void store_matrix_sync(T* p, const fragment<accumulator, M, N, K, T>& f, unsigned stride, layout_t layout,
                                       emulator::Place at = emulator::Place::here()) {
    using F = fragment<accumulator, M, N, K, T>;
    check_matrix(p, stride, at);
    for (int e = 0; e < F::num_elements; ++e) {
        const int i = emulator::mmb_thread.lane * F::num_elements + e, row = i / F::cols, col = i % F::cols;
        p[layout == mem_col_major ? col * stride + row : row * stride + col] = f.x[e];
    }
    __syncwarp(~0u, at);
}

template <class D, class A, class B, class C>
struct Product {
    D* d;
    const A* a;
    const B* b;
    const C* c;
    emulator::Place at;
};
template <class V>
EMULATOR_UNCHECKED auto wide(V v) {
    if constexpr (std::is_integral<V>::value)
        return static_cast<int>(v);
    else
        return static_cast<float>(v);
}
template <int M, int N, int K, class D, class A, class B, class C>
EMULATOR_UNCHECKED void exchange_product(void** brought, unsigned mask) {
    using P = Product<D, A, B, C>;
    const auto of = [&](int lane) EMULATOR_UNCHECKED { return static_cast<P*>(brought[lane]); };
    if (mask != ~0u) emulator::fail("warp-mask", of(__builtin_ctz(mask))->at, "wmma::mma_sync needs a warp of 32 threads");
    for (int row = 0; row < M; ++row)
        for (int col = 0; col < N; ++col) {
            const int at_c = row * N + col;
            auto sum = wide(of(at_c / C::num_elements)->c->x[at_c % C::num_elements]);
            for (int k = 0; k < K; ++k) {
                const int at_a = row * K + k, at_b = k * N + col;
                sum += wide(of(at_a / A::num_elements)->a->x[at_a % A::num_elements]) * wide(of(at_b / B::num_elements)->b->x[at_b % B::num_elements]);
            }
            of(at_c / D::num_elements)->d->x[at_c % D::num_elements] = typename D::element_type(sum);
        }
}
template <int M, int N, int K, class TD, class TA, class TB, class TC, class LA, class LB>
EMULATOR_INLINE void mma_sync(fragment<accumulator, M, N, K, TD>& d, const fragment<matrix_a, M, N, K, TA, LA>& a,
                              const fragment<matrix_b, M, N, K, TB, LB>& b, const fragment<accumulator, M, N, K, TC>& c,
                              emulator::Place at = emulator::Place::here()) {
    static_assert(std::is_same<TA, TB>::value, "wmma: a and b are of one type");
    static_assert((K == 8) == std::is_same<TA, precision::tf32>::value, "wmma: 16x16x8 is for tf32, and tf32 for it");
    const auto before = c;  // d may be c
    Product<fragment<accumulator, M, N, K, TD>, fragment<matrix_a, M, N, K, TA, LA>, fragment<matrix_b, M, N, K, TB, LB>,
            fragment<accumulator, M, N, K, TC>>
        product{&d, &a, &b, &before, at};
    emulator::warp_collective(~0u, &product,
                              exchange_product<M, N, K, fragment<accumulator, M, N, K, TD>, fragment<matrix_a, M, N, K, TA, LA>,
                                               fragment<matrix_b, M, N, K, TB, LB>, fragment<accumulator, M, N, K, TC>>,
                              at);
}

}  // namespace nvcuda::wmma
