// The instructions that are not elementwise: products of matrices, and sums and extremes along
// dimensions that lie side by side.
#pragma once
#include <optional>

#include "instruction.hpp"

namespace mmb::replay {

// What a product does to its result before it is stored, in this order (Epilogue in gemm_tile.hpp).
struct After {
    std::optional<Place> bias;  // one number for each column, side by side
    bool relu = false;
    std::optional<Place> add, gate;  // as the result lies; its very place, if k is at most at_once
};

// c (..., m, n) = a (..., m, k) b (..., k, n), one product for each of the `batch` dimensions in front. a
// and b lie in any way, and may be broadcast along them; c lies in rows. `after`: of one product only.
template <class T>
Ready product(const Buffers& memory, std::vector<Index> batch, Index m, Index n, Index k, Place a, Place b, Place c,
              After after);

// y (outer, inner) = f over the middle of x (outer, count, inner), both in rows; f is "add",
// "maximum" or "minimum". Sums along a row are pairwise, as NumPy's; all others go from the first to
// the last.
template <class T>
Ready reduction(const Buffers& memory, const std::string& name, Index outer, Index count, Index inner, Place x, Place y);

}  // namespace mmb::replay
