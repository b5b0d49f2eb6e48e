// Sums, means and extremes over any dimensions of an array in rows (ops/reduction.py, extremes.py).
//
// Neighbouring dimensions that all go, or all stay, are one; each of these groups that goes is a pass
// over (outer, n, inner), from the innermost outwards.
//
//   sums    of rows: 16 additions in each of four vectors, then halves, in wider numbers: at
//           least as exact as NumPy's pairwise sum. Of columns: by blocks, where NumPy adds row after row
//   bytes   every number is read once
#include <numeric>

#include "python/kernel_table.hpp"
#include "rows.hpp"

namespace mmb {
namespace {

template <class T>
struct Sum : Plus {
    using Wide = std::conditional_t<sizeof(T) == 4, double, long double>;  // in which blocks are joined
    static constexpr T start = 0;
};
template <class T>
struct Largest {  // NaN stays, as in NumPy
    using Wide = T;
    static constexpr T start = minus_infinity<T>;
    template <class V>
    V operator()(const V& a, const V& b) const {
        return a > b || a != a ? a : b;
    }
};
template <class T>
struct Smallest {
    using Wide = T;
    static constexpr T start = -minus_infinity<T>;
    template <class V>
    V operator()(const V& a, const V& b) const {
        return a < b || a != a ? a : b;
    }
};

constexpr Index piece = 65536;  // numbers that a thread takes at a time

// One row, by halves of whole blocks.
template <class T, class Join>
typename Join::Wide of_row(const T* x, Index n) {
    constexpr Index block = 64 * lanes<T>;
    if (n <= block) return folded<T>(n, Join::start, [&](Index i, Index k) { return load(x + i, k); }, Join());
    const Index half = (n / block + 1) / 2 * block;
    const typename Join::Wide first = of_row<T, Join>(x, half);  // before the rest: memory is read forwards
    return Join()(first, of_row<T, Join>(x + half, n - half));
}

template <class T, class Join>
void rows(T* y, const T* x, Index outer, Index n) {
    if (n <= 2 * piece)
        return each_row(outer, n, [&](Index first, Index last) {
            for (Index r = first; r < last; ++r) y[r] = static_cast<T>(of_row<T, Join>(x + r * n, n));
        });
    const Index pieces = (n + piece - 1) / piece;
    std::vector<typename Join::Wide> parts(outer * pieces);
    parallel_for(outer * pieces, [&](Index i) {
        const Index start = i % pieces * piece;
        parts[i] = of_row<T, Join>(x + i / pieces * n + start, std::min(piece, n - start));
    });
    for (Index r = 0; r < outer; ++r) {
        const auto* const first = &parts[r * pieces];
        y[r] = static_cast<T>(std::accumulate(first + 1, first + pieces, *first, Join()));
    }
}

// y (width) joined with `count` rows of x, eight at a time: fast in the caches. Long rows that come from
// memory should be read one after the other; those are not offered (kernels/cpu/reduction.py).
template <class T, class Join>
void join_rows(T* y, const T* x, Index count, Index width, Index stride) {
    const Join join;
    Index r = 0;
    for (; r + 8 <= count; r += 8)
        each_vector<T>(width, [&](Index j, Index k) {
            const auto row = [&](Index i) { return load(x + (r + i) * stride + j, k); };
            const Vec<T> a = join(join(row(0), row(1)), join(row(2), row(3)));
            const Vec<T> b = join(join(row(4), row(5)), join(row(6), row(7)));
            store(y + j, join(load(y + j, k), join(a, b)), k);
        });
    for (; r < count; ++r)
        each_vector<T>(width, [&](Index j, Index k) { store(y + j, join(load(y + j, k), load(x + r * stride + j, k)), k); });
}

// The columns of `count` rows that lie `stride` apart. Narrow rows are taken together, as rows so wide
// that they are whole vectors.
template <class T, class Join>
void columns_of_block(T* y, const T* x, Index count, Index width, Index stride) {
    std::fill(y, y + width, Join::start);
    Index together = 1;
    if (width == stride && width < 8 * lanes<T>) {
        together = lanes<T> / std::gcd(lanes<T>, width);
        while (together * width < 4 * lanes<T>) together *= 2;
    }
    const Index wide = count / together;
    if (together == 1 || wide < 2) return join_rows<T, Join>(y, x, count, width, stride);
    std::vector<T> side_by_side(together * width, Join::start);
    join_rows<T, Join>(side_by_side.data(), x, wide, together * width, together * width);
    join_rows<T, Join>(y, side_by_side.data(), together, width, width);
    join_rows<T, Join>(y, x + wide * together * width, count - wide * together, width, width);
}

template <class T, class Join>
void columns(T* y, const T* x, Index outer, Index n, Index inner) {
    const Index block = std::max<Index>(256, piece / inner), blocks = (n + block - 1) / block;
    const Index strip = inner > 8192 ? 4096 : inner, strips = (inner + strip - 1) / strip;
    if (blocks == 1 && strips == 1)
        return each_row(outer, n * inner, [&](Index first, Index last) {
            for (Index o = first; o < last; ++o) columns_of_block<T, Join>(y + o * inner, x + o * n * inner, n, inner, inner);
        });
    std::vector<T> parts(blocks == 1 ? 0 : outer * blocks * inner);
    T* const into = blocks == 1 ? y : parts.data();
    parallel_for(outer * blocks * strips, [&](Index i) {
        const Index j = i % strips * strip, b = i / strips % blocks, o = i / strips / blocks;
        columns_of_block<T, Join>(into + (o * blocks + b) * inner + j, x + (o * n + b * block) * inner + j,
                                  std::min(block, n - b * block), std::min(strip, inner - j), inner);
    });
    if (blocks > 1) columns<T, Join>(y, into, outer, blocks, inner);
}

struct Group {
    Index size;
    bool goes;
};

template <class T, class Join>
void reduce(T* y, const T* x, std::vector<Group> groups) {
    const auto size = [&](std::size_t from, std::size_t to) {
        Index n = 1;
        for (; from < to; ++from) n *= groups[from].size;
        return n;
    };
    int left = 0;
    for (const Group& g : groups) left += g.goes;
    if (!left) return void(std::copy(x, x + size(0, groups.size()), y));
    std::vector<T> between[2];  // what a pass reads, and what it writes
    for (std::size_t i = groups.size(); i-- > 0;) {
        if (!groups[i].goes) continue;
        const Index outer = size(0, i), n = groups[i].size, inner = size(i + 1, groups.size());
        std::vector<T>& next = between[left % 2];
        if (--left) next.resize(outer * inner);
        T* const into = left ? next.data() : y;
        inner == 1 ? rows<T, Join>(into, x, outer, n) : columns<T, Join>(into, x, outer, n, inner);
        groups[i].size = 1;
        x = into;
    }
}

// x over `dims`, divided by `divisor`.
template <class T, class Join>
Object reduced(const Strided<const T>& x, const std::vector<Index>& dims, bool keepdim, double divisor) {
    std::vector<Group> groups;
    std::vector<Index> shape;
    Index expected = 1;
    for (int d = x.ndim; d-- > 0;) {
        expect(x.shape[d] == 1 || x.strides[d] == expected, "an array in rows");
        expected *= x.shape[d];
    }
    expect(expected > 0, "something to reduce");
    for (int d = 0; d < x.ndim; ++d) {
        const bool goes = std::find(dims.begin(), dims.end(), Index(d)) != dims.end();
        if (!goes || keepdim) shape.push_back(goes ? 1 : x.shape[d]);
        if (x.shape[d] == 1) continue;
        if (!groups.empty() && groups.back().goes == goes) groups.back().size *= x.shape[d];
        else groups.push_back({x.shape[d], goes});
    }
    Made<T> y(shape);
    const auto compute = [&] {
        reduce<T, Join>(y.data, x.data, groups);
        if (divisor == 1) return;
        Index count = 1;
        for (const Index n : shape) count *= n;
        for (Index i = 0; i < count; ++i) y.data[i] /= static_cast<T>(divisor);
    };
    if (expected > piece) {
        const Unlock others_may_run;
        compute();
    } else {
        compute();
    }
    return y.object;
}

}  // namespace

MMB_CPU_FUNCTION("sum", reduced<T, Sum<T>>);
MMB_CPU_FUNCTION("amax", reduced<T, Largest<T>>);
MMB_CPU_FUNCTION("amin", reduced<T, Smallest<T>>);

}  // namespace mmb
