// Products of matrices of any size and strides, with what comes after them done on the way out.
//
//   Epilogue<float> e;
//   e.bias = b, e.relu = true;
//   gemm(m, n, k, in_rows(x, k), in_columns(w, k), y, n, e);      y = relu(x Wᵀ + b)
//
// One thread computes; parallel_gemm shares the work among the pool's threads and gives the same bits.
#pragma once
#include "gemm_tile.hpp"

namespace mmb {

// A factor: element (i, j) is data[i row_stride + j col_stride].
template <class T>
struct Factor {
    const T* data;
    Index row_stride, col_stride;
    Factor at(Index i, Index j) const { return {data + i * row_stride + j * col_stride, row_stride, col_stride}; }
    Factor transposed() const { return {data, col_stride, row_stride}; }
};
template <class T>
Factor<T> in_rows(const T* data, Index row_stride) {
    return {data, row_stride, 1};
}
template <class T>
Factor<T> in_columns(const T* data, Index col_stride) {
    return {data, 1, col_stride};
}
template <class T>
Factor<T> factor(const Matrix<const T>& m) {
    return {m.data, m.row_stride, m.col_stride};
}

// The longest sums that are stored at once; longer ones in parts.
template <class T>
constexpr Index at_once = 1024 / sizeof(T);

// c (m, n) = epilogue(A (m, k) B (k, n)); rows of c lie c_stride apart. c overlaps neither A nor B. It may
// be the epilogue's add or gate, in place, if k is at most at_once: the parts of longer sums would lie over
// what the last part reads.
template <class T>
void gemm(Index m, Index n, Index k, Factor<T> a, Factor<T> b, T* c, Index c_stride, const Epilogue<T>& e = {});

// The same on the pool's threads, if there is enough to do.
template <class T>
void parallel_gemm(Index m, Index n, Index k, Factor<T> a, Factor<T> b, T* c, Index c_stride, const Epilogue<T>& e = {});

}  // namespace mmb
