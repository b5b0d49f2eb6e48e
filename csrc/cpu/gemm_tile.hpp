// The innermost loop of matrix products and convolutions: a tile of the result stays in registers
// while the products of one column of A and one row of B are added to it.
//
//   Tile<float>::rows x Tile<float>::cols numbers; smaller tiles at the borders
//
// gemm.hpp is the product of whole matrices. A kernel that walks its operands in another way, as a
// convolution without im2col does, calls multiply_tile itself.
#pragma once
#include "simd.hpp"

namespace mmb {

// What happens to a sum before it is stored, in this order:
//
//   z = Σ a b,   z += c if accumulate,   z += bias (one for each column),   max(z, 0) if relu,
//   z += add,   z = 0 where the gate is at most 0 (a relu's way back; NaN is let through)
template <class T>
struct Epilogue {
    const T* bias = nullptr;
    const T* add = nullptr;   // a matrix like the result; from row to row: add_stride
    const T* gate = nullptr;  // likewise
    Index add_stride = 0, gate_stride = 0;
    bool relu = false, accumulate = false;

    // The same for the part of the result that begins at (i, j).
    Epilogue at(Index i, Index j) const {
        Epilogue e = *this;
        if (bias) e.bias += j;
        if (add) e.add += i * add_stride + j;
        if (gate) e.gate += i * gate_stride + j;
        return e;
    }
};

// With 32 registers: 28 sums, 2 vectors of B, 1 number of A. With 16: 12, 2 and 1; a processor
// without a fused multiply-add needs another for the product.
template <class T>
struct Tile {
    static constexpr int rows = registers == 32 ? 14 : 6, vectors = 2;
    static constexpr Index cols = vectors * lanes<T>;
};

// Which part of a sum over k this is: blocks of k are added up in c.
struct Part {
    bool first = true, last = true;
};

// f(z, i, j, n) for every vector z of a tile: it begins at row i, column j, and n of its numbers count.
template <class T, int R, int V, class F>
[[gnu::always_inline]] inline void each_of_tile(Vec<T> (&sum)[R][V], Index count, const F& f) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) f(sum[i][v], i, v * lanes<T>, v == V - 1 ? count : lanes<T>);
}

// What comes after the sums of a tile. Each part is asked for once, not for every vector.
template <class T, int R, int V>
[[gnu::always_inline]] inline void finish_tile(Vec<T> (&sum)[R][V], T* c, Index c_row, Index count, const Epilogue<T>& e,
                                               Part part) {
    const auto each = [&](const auto& f) __attribute__((always_inline)) { each_of_tile<T>(sum, count, f); };
    if (!part.first || e.accumulate) each([&](Vec<T>& z, int i, Index j, Index n) { z += load(c + i * c_row + j, n); });
    if (part.last) {
        if (e.bias) each([&](Vec<T>& z, int, Index j, Index n) { z += load(e.bias + j, n); });
        if (e.relu) each([](Vec<T>& z, int, Index, Index) { z = z < 0 ? Vec<T>{} : z; });  // NaN and -0 stay, as in NumPy
        if (e.add) each([&](Vec<T>& z, int i, Index j, Index n) { z += load(e.add + i * e.add_stride + j, n); });
        if (e.gate)
            each([&](Vec<T>& z, int i, Index j, Index n) {
                z = load(e.gate + i * e.gate_stride + j, n) <= 0 ? Vec<T>{} : z;
            });
    }
    each([&](const Vec<T>& z, int i, Index j, Index n) { store(c + i * c_row + j, z, n); });
}

// c[i, j] of a tile of R rows and V vectors, of which the last one has `count` columns.
//
//   a(i, k) = a[i a_row + k a_col];   row k of B at b + k b_row, V full vectors to be read
template <class T, int R, int V>
inline void multiply_tile(Index depth, const T* a, Index a_row, Index a_col, const T* b, Index b_row, T* c, Index c_row,
                          Index count, const Epilogue<T>& e, Part part) {
    Vec<T> sum[R][V];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sum[i][v] = Vec<T>{};
    for (Index k = 0; k < depth; ++k, a += a_col, b += b_row) {
        Vec<T> row[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) row[v] = load(b + v * lanes<T>);
#pragma GCC unroll 16
        for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) sum[i][v] += a[i * a_row] * row[v];
    }
    finish_tile<T, R, V>(sum, c, c_row, count, e, part);
}

// The same for a number of rows that is known only when it runs, from 1 to Tile<T>::rows.
template <class T, int V, int R = Tile<T>::rows>
inline void multiply_rows(int rows, Index depth, const T* a, Index a_row, Index a_col, const T* b, Index b_row, T* c,
                          Index c_row, Index count, const Epilogue<T>& e, Part part) {
    if constexpr (R > 1)
        if (rows < R) return multiply_rows<T, V, R - 1>(rows, depth, a, a_row, a_col, b, b_row, c, c_row, count, e, part);
    multiply_tile<T, R, V>(depth, a, a_row, a_col, b, b_row, c, c_row, count, e, part);
}

}  // namespace mmb
