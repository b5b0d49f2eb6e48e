// Dropout (ops/dropout.py): y = x · kept · scale, where the i-th element is kept if the i-th 32 bits of
// Philox(key) are not below a threshold.
//
//   bytes  9 an element: x is read, y and a byte of the mask are written; 9 on the way back, which reads
//          the mask instead of drawing it again: ten rounds of multiplications cost more than a byte
#include "python/kernel_table.hpp"
#include "philox.hpp"
#include "pool.hpp"

namespace mmb {
namespace {

constexpr Index chunk = 32768;  // elements that one thread takes at a time: whole blocks of random bits

template <class F>
void each_chunk(Index n, const F& f) {  // f(first, last)
    parallel_for((n + chunk - 1) / chunk, [&](Index c) { f(c * chunk, std::min(n, (c + 1) * chunk)); });
}

template <class T>
void dropout(const Span<T>& y, const Span<std::uint8_t>& kept, const Span<const T>& x, std::uint64_t key,
             std::uint64_t threshold, double scale) {
    expect(y.size == x.size && kept.size == x.size, "y and the mask of the size of x");
    const T factor = static_cast<T>(scale);
    each_chunk(x.size, [&](Index first, Index last) {
        for (Index i = first; i < last; i += 8) {
            const PhiloxBlock random = philox_block(key, i / 8);
            const int count = static_cast<int>(std::min<Index>(8, last - i));
            for (int j = 0; j < count; ++j) {
                kept[i + j] = random.half(j) >= threshold;
                y[i + j] = x[i + j] * T(kept[i + j]) * factor;  // NaN and ∞ show where they are dropped
            }
        }
    });
}

// dx = g · kept · scale
template <class T>
void dropout_backward(const Span<T>& dx, const Span<const T>& g, const Span<const std::uint8_t>& kept, double scale) {
    expect(dx.size == g.size && kept.size == g.size, "gradients and mask of one size");
    const T factor = static_cast<T>(scale);
    each_chunk(g.size, [&](Index first, Index last) {
        for (Index i = first; i < last; ++i) dx[i] = g[i] * T(kept[i]) * factor;
    });
}

}  // namespace

MMB_CPU_KERNEL("dropout", dropout<T>);
MMB_CPU_KERNEL("dropout_backward", dropout_backward<T>);

}  // namespace mmb
