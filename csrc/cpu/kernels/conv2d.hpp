// What the three sums of a convolution share: y and ∂L/∂x (conv2d.cpp), ∂L/∂weight (conv2d_weight.cpp).
#pragma once
#include "planes.hpp"

namespace mmb {

template <class T>
struct Convolution {
    Planes planes;
    Index images, groups, channels, filters;  // the latter two of a group

    Convolution(const Images<T>& y, const std::array<Index, 4>& x, const Span<T>& weight, const Geometry& g, Index groups_)
        : planes(g, x[2], x[3], y.shape[2], y.shape[3]),
          images(x[0]),
          groups(groups_),
          channels(x[1] / groups_),
          filters(y.shape[1] / groups_) {
        expect(y.shape[0] == images && x[1] == channels * groups && y.shape[1] == filters * groups,
               "as many images there and back, and channels that the groups divide");
        expect(weight.size == groups * filters * terms(), "a weight for each filter, channel and place");
    }
    Index terms() const { return channels * planes.places(); }  // of the sum for one y
};

constexpr Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }

// Work is cut into blocks of rows of one image and group whose operands fit into the second cache.
constexpr Index block_bytes = 512 << 10;

// So many rows to a block if each takes `row` bytes, and `halo` more rows are needed on top.
inline Index rows_of_block(Index rows, Index row, Index halo) {
    const Index most = std::max<Index>({1, block_bytes / std::max<Index>(row, 1) - halo, halo});
    return ceil_div(rows, ceil_div(rows, most));
}

// So many blocks to a chunk that a thread's coming, 0.1 ms, pays.
inline Index blocks_of_chunk(double multiplications) {
    return static_cast<Index>(4e6 / std::max(multiplications, 1.0)) + 1;
}

// ∂L/∂z of y = max(z, 0): g, or 0 where y ≤ 0 (NaN keeps its gradient); without y, g itself. Up to a
// vector is written behind the n-th.
template <class T>
inline void gradient_row(const T* g, Index g_step, const T* y, Index y_step, Index n, T* out) {
    const auto gated = [](const Vec<T>& g, const Vec<T>& y) { return y <= 0 ? Vec<T>{} : g; };
    if (!y) {
        copy_row(g, g_step, n, out);
    } else if (g_step == 1 && y_step == 1) {
        each_vector<T>(n, [&](Index c, Index k) { store(out + c, gated(load(g + c, k), load(y + c, k))); });
    } else {
        for (Index c = 0; c < n; ++c) out[c] = y[c * y_step] <= 0 ? T(0) : g[c * g_step];
    }
}

}  // namespace mmb
