// The instructions that are not elementwise: products of matrices, and sums and extremes along
// dimensions that lie side by side.
#pragma once
#include "instruction.hpp"

namespace mmb::replay {

// c (m, n) = a (m, k) b (k, n). a and b lie in any way, the elements of a row of c side by side.
template <class T>
Ready product(const Buffers& memory, Index m, Index n, Index k, Place a, Place b, Place c);

// y (outer, inner) = f over the middle of x (outer, count, inner), both in rows; f is "add",
// "maximum" or "minimum". Sums along a row are pairwise, as NumPy's; all others go from the first to
// the last.
template <class T>
Ready reduction(const Buffers& memory, const std::string& name, Index outer, Index count, Index inner, Place x, Place y);

}  // namespace mmb::replay
