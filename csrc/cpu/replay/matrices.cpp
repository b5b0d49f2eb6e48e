#include "replay/matrices.hpp"

#include "gemm.hpp"
#include "pool.hpp"

namespace mmb::replay {
namespace {

template <class T>
constexpr Index itemsize = sizeof(T);

template <class T>
T* at(const Buffers& memory, const Place& p) {
    return reinterpret_cast<T*>(memory[p.buffer].data + p.offset);
}

template <class T>
class Product : public Instruction {
  public:
    Product(const Buffers& memory, Index m, Index n, Index k, Place a, Place b, Place c)
        : m_(m), n_(n), k_(k), a_(std::move(a)), b_(std::move(b)), c_(std::move(c)) {
        const std::vector<Index> first{m, k}, second{k, n}, result{m, n};
        expect_inside(memory, a_, first, itemsize<T>, false);
        expect_inside(memory, b_, second, itemsize<T>, false);
        expect_inside(memory, c_, result, itemsize<T>, true);
        for (const Place* p : {&a_, &b_, &c_})
            for (const Index s : p->strides) expect(s % itemsize<T> == 0, "strides of whole elements");
        expect(c_.strides[1] == itemsize<T> && (m == 1 || c_.strides[0] >= n * itemsize<T>), "a result in rows");
        const Range written = range_of(c_, result, itemsize<T>);
        expect(a_.buffer != c_.buffer || !written.meets(range_of(a_, first, itemsize<T>)), "a product apart from its factors");
        expect(b_.buffer != c_.buffer || !written.meets(range_of(b_, second, itemsize<T>)), "a product apart from its factors");
    }

    void run(const Buffers& memory, const double*) const override {
        parallel_gemm<T>(m_, n_, k_, factor(memory, a_), factor(memory, b_), at<T>(memory, c_), c_.strides[0] / itemsize<T>);
    }

  private:
    static Factor<T> factor(const Buffers& memory, const Place& p) {
        return {at<const T>(memory, p), p.strides[0] / itemsize<T>, p.strides[1] / itemsize<T>};
    }
    Index m_, n_, k_;
    Place a_, b_, c_;
};

// NumPy's order for a sum along a row: eight sums side by side, blocks of 128 by halves.
template <class T>
T pairwise(const T* x, Index n) {
    if (n < 8) {
        T sum = 0;
        for (Index i = 0; i < n; ++i) sum += x[i];
        return sum;
    }
    if (n > 128) {
        const Index half = n / 2 - n / 2 % 8;
        return pairwise(x, half) + pairwise(x + half, n - half);
    }
    T sums[8];
    for (Index i = 0; i < 8; ++i) sums[i] = x[i];
    Index i = 8;
    for (; i + 8 <= n; i += 8)
        for (Index k = 0; k < 8; ++k) sums[k] += x[i + k];
    T sum = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    for (; i < n; ++i) sum += x[i];
    return sum;
}

struct Add {
    template <class T>
    static T of(T a, T b) {
        return a + b;
    }
    template <class T>
    static T along(const T* x, Index n) {
        return pairwise(x, n);
    }
};
template <bool largest>
struct Extreme {
    template <class T>
    static T of(T a, T b) {  // NaN goes through
        return (largest ? a >= b : a <= b) || a != a ? a : b;
    }
    template <class T>
    static T along(const T* x, Index n) {
        T y = x[0];
        for (Index i = 1; i < n; ++i) y = of(y, x[i]);
        return y;
    }
};

template <class T, class F>
class Reduction : public Instruction {
  public:
    Reduction(const Buffers& memory, Index outer, Index count, Index inner, Place x, Place y)
        : outer_(outer), count_(count), inner_(inner), x_(std::move(x)), y_(std::move(y)) {
        const std::vector<Index> from{outer * count * inner}, to{outer * inner};
        expect_inside(memory, x_, from, itemsize<T>, false);
        expect_inside(memory, y_, to, itemsize<T>, true);
        expect(x_.strides[0] == itemsize<T> && y_.strides[0] == itemsize<T>, "elements side by side");
        expect(x_.buffer != y_.buffer || !range_of(x_, from, itemsize<T>).meets(range_of(y_, to, itemsize<T>)),
               "a reduction apart from its operand");
    }

    // A chunk is some rows, or some columns of one of the outer matrices: 0.5 MB or more.
    void run(const Buffers& memory, const double*) const override {
        const T* x = at<const T>(memory, x_);
        T* y = at<T>(memory, y_);
        const Index wide = inner_ == 1 ? 1 : (inner_ + columns - 1) / columns;
        const Index parts = outer_ * wide, size = count_ * std::min(inner_, columns);
        const Index share = std::max<Index>(1, work / size);
        const auto chunk = [&](Index c) {
            for (Index p = c * share; p < std::min(parts, (c + 1) * share); ++p)
                part(x + p / wide * count_ * inner_, y + p / wide * inner_, p % wide * columns);
        };
        const Index chunks = (parts + share - 1) / share;
        if (parts * size < 4 * work)
            for (Index c = 0; c < chunks; ++c) chunk(c);
        else
            parallel_for(chunks, chunk);
    }

  private:
    static constexpr Index columns = 256, work = 131072;

    void part(const T* x, T* y, Index j) const {
        if (inner_ == 1) {
            *y = F::along(x, count_);
            return;
        }
        alignas(64) T block[columns];
        const Index n = std::min(columns, inner_ - j);
        std::copy_n(x + j, n, block);
        for (Index i = 1; i < count_; ++i) {
            const T* row = x + i * inner_ + j;
            for (Index k = 0; k < n; ++k) block[k] = F::of(block[k], row[k]);
        }
        std::copy_n(block, n, y + j);
    }

    Index outer_, count_, inner_;
    Place x_, y_;
};

}  // namespace

template <class T>
Ready product(const Buffers& memory, Index m, Index n, Index k, Place a, Place b, Place c) {
    return std::make_unique<Product<T>>(memory, m, n, k, std::move(a), std::move(b), std::move(c));
}

template <class T>
Ready reduction(const Buffers& memory, const std::string& name, Index outer, Index count, Index inner, Place x, Place y) {
    if (name == "add") return std::make_unique<Reduction<T, Add>>(memory, outer, count, inner, std::move(x), std::move(y));
    if (name == "maximum")
        return std::make_unique<Reduction<T, Extreme<true>>>(memory, outer, count, inner, std::move(x), std::move(y));
    if (name == "minimum")
        return std::make_unique<Reduction<T, Extreme<false>>>(memory, outer, count, inner, std::move(x), std::move(y));
    throw std::invalid_argument("there is no reduction by " + name);
}

#define MMB_MATRICES_OF(T)                                                         \
    template Ready product<T>(const Buffers&, Index, Index, Index, Place, Place, Place); \
    template Ready reduction<T>(const Buffers&, const std::string&, Index, Index, Index, Place, Place);
MMB_MATRICES_OF(float)
MMB_MATRICES_OF(double)

}  // namespace mmb::replay
