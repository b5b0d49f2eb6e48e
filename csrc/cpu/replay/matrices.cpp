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
    Product(const Buffers& memory, std::vector<Index> batch, Index m, Index n, Index k, Place a, Place b, Place c, After after)
        : batch_(std::move(batch)), m_(m), n_(n), k_(k), a_(std::move(a)), b_(std::move(b)), c_(std::move(c)),
          after_(std::move(after)) {
        const std::vector<Index> first = with(m, k), second = with(k, n), result = with(m, n);
        expect_inside(memory, a_, first, itemsize<T>, false);
        expect_inside(memory, b_, second, itemsize<T>, false);
        expect_inside(memory, c_, result, itemsize<T>, true);
        for (const Place* p : {&a_, &b_})
            for (const Index s : p->strides) expect(s % itemsize<T> == 0, "strides of whole elements");
        Index step = itemsize<T>;
        for (std::size_t d = result.size(); d-- > 0; step *= result[d])
            expect(result[d] == 1 || c_.strides[d] == step, "a result in rows");
        const Range written = range_of(c_, result, itemsize<T>);
        expect(a_.buffer != c_.buffer || !written.meets(range_of(a_, first, itemsize<T>)), "a product apart from its factors");
        expect(b_.buffer != c_.buffer || !written.meets(range_of(b_, second, itemsize<T>)), "a product apart from its factors");
        for (const Index size : batch_) products_ *= size;
        check_after(memory, written);
    }

    void run(const Buffers& memory, const double*) const override {
        T* const c = at<T>(memory, c_);
        if (batch_.empty()) return parallel_gemm<T>(m_, n_, k_, factor(memory, a_), factor(memory, b_), c, n_, epilogue(memory));
        const double work = 1.0 * m_ * n_ * k_;
        if (work >= 2 * chunk_work) {
            for (Index i = 0; i < products_; ++i)
                parallel_gemm<T>(m_, n_, k_, factor(memory, a_, i), factor(memory, b_, i), c + i * m_ * n_, n_);
            return;
        }
        const Index together = static_cast<Index>(chunk_work / work) + 1, chunks = (products_ + together - 1) / together;
        parallel_for(chunks, [&](Index chunk) {
            for (Index i = chunk * together; i < std::min(products_, (chunk + 1) * together); ++i)
                gemm<T>(m_, n_, k_, factor(memory, a_, i), factor(memory, b_, i), c + i * m_ * n_, n_);
        });
    }

  private:
    static constexpr double chunk_work = 4e6;  // multiplications, about 0.1 ms

    std::vector<Index> with(Index rows, Index cols) const {
        std::vector<Index> shape = batch_;
        shape.push_back(rows), shape.push_back(cols);
        return shape;
    }

    void check_after(const Buffers& memory, const Range& written) {
        const bool any = after_.bias || after_.relu || after_.add || after_.gate;
        expect(!any || batch_.empty(), "nothing after many products");
        const auto apart = [&](const Place& p, const Range& r) {
            const bool same = p.buffer == c_.buffer && r.first == written.first && r.end == written.end && k_ <= at_once<T>;
            return p.buffer != c_.buffer || same || !written.meets(r);
        };
        if (after_.bias) {
            expect_inside(memory, *after_.bias, {n_}, itemsize<T>, false);
            expect(n_ == 1 || after_.bias->strides[0] == itemsize<T>, "a bias whose numbers lie side by side");
            const Range r = range_of(*after_.bias, {n_}, itemsize<T>);
            expect(after_.bias->buffer != c_.buffer || !written.meets(r), "a bias apart from the result");
        }
        for (const std::optional<Place>* p : {&after_.add, &after_.gate}) {
            if (!*p) continue;
            expect_inside(memory, **p, {m_, n_}, itemsize<T>, false);
            expect((**p).strides == std::vector<Index>{n_ * itemsize<T>, itemsize<T>}, "a matrix that lies as the result does");
            expect(apart(**p, range_of(**p, {m_, n_}, itemsize<T>)), "a result apart from what is added, or in its place");
        }
    }

    Epilogue<T> epilogue(const Buffers& memory) const {
        Epilogue<T> e;
        if (after_.bias) e.bias = at<const T>(memory, *after_.bias);
        if (after_.add) e.add = at<const T>(memory, *after_.add);
        if (after_.gate) e.gate = at<const T>(memory, *after_.gate);
        e.add_stride = e.gate_stride = n_, e.relu = after_.relu;
        return e;
    }

    // A factor of product i of the batch.
    Factor<T> factor(const Buffers& memory, const Place& p, Index i = 0) const {
        const char* start = memory[p.buffer].data + p.offset;
        for (std::size_t d = batch_.size(); d-- > 0; i /= batch_[d]) start += i % batch_[d] * p.strides[d];
        const Index* strides = p.strides.data() + batch_.size();
        return {reinterpret_cast<const T*>(start), strides[0] / itemsize<T>, strides[1] / itemsize<T>};
    }

    std::vector<Index> batch_;
    Index m_, n_, k_, products_ = 1;
    Place a_, b_, c_;
    After after_;
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
Ready product(const Buffers& memory, std::vector<Index> batch, Index m, Index n, Index k, Place a, Place b, Place c,
              After after) {
    return std::make_unique<Product<T>>(memory, std::move(batch), m, n, k, std::move(a), std::move(b), std::move(c),
                                        std::move(after));
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
    template Ready product<T>(const Buffers&, std::vector<Index>, Index, Index, Index, Place, Place, Place, After); \
    template Ready reduction<T>(const Buffers&, const std::string&, Index, Index, Index, Place, Place);
MMB_MATRICES_OF(float)
MMB_MATRICES_OF(double)

}  // namespace mmb::replay
