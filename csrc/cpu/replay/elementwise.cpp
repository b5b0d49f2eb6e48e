#include "replay/elementwise.hpp"

#include "pool.hpp"
#include "vector_math.hpp"

namespace mmb::replay {
namespace {

constexpr Index width = 256;         // of a block: 64 to 2048 were measured, 256 is the fastest
constexpr Index most_blocks = 40;    // registers: 40 KB of float
constexpr double thread_work = 5e5;  // elements times operations of a chunk, about 50 µs

// One operation on one block. What is `single` is one element for all of the block.
template <class T>
struct Arguments {
    T* out;
    const T *a, *b;
    bool a_single, b_single;
    Index n;
};

template <class T, class F>
inline void unary(const Arguments<T>& x, const F& f) {
    if (x.a_single) {
        const Vec<T> y = f(splat(*x.a));
        each_vector<T>(x.n, [&](Index i, Index k) { store(x.out + i, y, k); });
    } else {
        each_vector<T>(x.n, [&](Index i, Index k) { store(x.out + i, Vec<T>(f(load(x.a + i, k))), k); });
    }
}

template <class T, class F>
inline void binary(const Arguments<T>& x, const F& f) {
    if (x.a_single) {
        const Vec<T> a = splat(*x.a);
        if (x.b_single) return unary<T>(x, [&](const Vec<T>&) { return f(a, splat(*x.b)); });
        each_vector<T>(x.n, [&](Index i, Index k) { store(x.out + i, Vec<T>(f(a, load(x.b + i, k))), k); });
    } else if (x.b_single) {
        const Vec<T> b = splat(*x.b);
        each_vector<T>(x.n, [&](Index i, Index k) { store(x.out + i, Vec<T>(f(load(x.a + i, k), b)), k); });
    } else {
        each_vector<T>(x.n, [&](Index i, Index k) { store(x.out + i, Vec<T>(f(load(x.a + i, k), load(x.b + i, k))), k); });
    }
}

// By one number: a product with its reciprocal, at most 1.5 units in the last place from the quotient
// and several times as fast; not where either is too small or too large for that.
template <class T>
void divide(const Arguments<T>& x) {
    if (x.b_single && std::isnormal(*x.b) && std::isnormal(T(1) / *x.b)) {
        const T reciprocal = T(1) / *x.b;
        Arguments<T> y = x;
        y.b = &reciprocal;
        return binary<T>(y, [](const Vec<T>& a, const Vec<T>& b) { return a * b; });
    }
    binary<T>(x, [](const Vec<T>& a, const Vec<T>& b) { return a / b; });
}

// Booleans are 0 and 1 of the type T between operations.
#define MMB_UNARY(name, expression) \
    {name, [](const Arguments<T>& x) { unary<T>(x, [](const Vec<T>& a) -> Vec<T> { return expression; }); }}
#define MMB_BINARY(name, expression) \
    {name, [](const Arguments<T>& x) { binary<T>(x, [](const Vec<T>& a, const Vec<T>& b) -> Vec<T> { return expression; }); }}
#define MMB_COMPARE(name, sign) MMB_BINARY(name, a sign b ? splat(T(1)) : Vec<T>{})

template <class T>
using Operation = void (*)(const Arguments<T>&);
template <class T>
struct Named {
    const char* name;
    Operation<T> run;
};
template <class T>
const std::vector<Named<T>>& table() {
    static const std::vector<Named<T>> all = {
        MMB_UNARY("copy", a),
        MMB_UNARY("positive", a),
        MMB_UNARY("negative", -a),
        MMB_UNARY("absolute", (a < 0 ? -a : a + T(0))),  // |-0| is 0
        MMB_UNARY("sqrt", sqrt<T>(a)),
        MMB_UNARY("square", a * a),
        MMB_UNARY("reciprocal", T(1) / a),
        MMB_UNARY("exp", exp<T>(a)),
        MMB_UNARY("expm1", expm1<T>(a)),
        MMB_UNARY("log", log<T>(a)),
        MMB_UNARY("log1p", log1p<T>(a)),
        MMB_UNARY("tanh", tanh<T>(a)),
        MMB_UNARY("invert", T(1) - a),  // of booleans, as are the next two
        MMB_UNARY("logical_not", T(1) - a),
        MMB_BINARY("gate", (b != 0 ? a : Vec<T>{})),  // by a boolean, bit for bit
        MMB_BINARY("logical_and", a * b),
        MMB_BINARY("logical_or", (a > b ? a : b)),
        MMB_BINARY("add", a + b),
        MMB_BINARY("subtract", a - b),
        MMB_BINARY("multiply", a * b),
        {"divide", divide<T>},
        MMB_BINARY("maximum", (a >= b || a != a ? a : b)),  // NaN goes through
        MMB_BINARY("minimum", (a <= b || a != a ? a : b)),
        MMB_COMPARE("less", <),
        MMB_COMPARE("less_equal", <=),
        MMB_COMPARE("greater", >),
        MMB_COMPARE("greater_equal", >=),
        MMB_COMPARE("equal", ==),
        MMB_COMPARE("not_equal", !=),
    };
    return all;
}
#undef MMB_UNARY
#undef MMB_BINARY
#undef MMB_COMPARE

template <class T>
class Program : public Instruction {
  public:
    Program(const Buffers& memory, std::vector<Index> shape, std::vector<Slot> slots, const std::vector<Step>& steps)
        : shape_(std::move(shape)), slots_(std::move(slots)) {
        if (shape_.empty()) {  // a number is a row of one
            shape_.push_back(1);
            for (Slot& s : slots_)
                if (s.kind == Slot::memory || s.kind == Slot::boolean) s.place.strides.push_back(itemsize(s));
        }
        expect(!steps.empty(), "at least one operation");
        cols_ = shape_.back();
        for (std::size_t d = 0; d + 1 < shape_.size(); ++d) rows_ *= shape_[d];
        std::vector<bool> written(slots_.size(), false);
        for (const auto& [name, out, a, b] : steps) {
            for (const int k : {out, a, b}) expect(k >= 0 && k < static_cast<int>(slots_.size()), "a slot of the program");
            for (const int k : {a, b})
                expect(slots_[k].kind != Slot::block || written[k], "a block that an earlier operation has written");
            expect(slots_[out].kind != Slot::number && slots_[out].kind != Slot::constant, "a result in memory or in a block");
            written[out] = true;
            steps_.push_back({operation(name), out, a, b, false, false});
        }
        results_ = written;
        check(memory, written);
        for (StepOf& s : steps_) s.a_single = single(s.a), s.b_single = single(s.b);
        const StepOf& s = steps_.front();
        const auto in_rows = [&](int k) { return slots_[k].kind == Slot::memory && !single(k) && !staged(k); };
        copies_ = steps_.size() == 1 && std::get<0>(steps.front()) == "copy" && in_rows(s.a) && in_rows(s.out);
    }

    void run(const Buffers& memory, const double* numbers) const override {
        const Index units = rows_ * ceil_div(cols_, width);
        const double work = 1.0 * std::min(cols_, width) * steps_.size();
        if (work * units < 4 * thread_work) return go(memory, numbers, 0, units);
        const Index share = std::max<Index>(1, static_cast<Index>(thread_work / work));
        parallel_for(ceil_div(units, share),
                     [&](Index chunk) { go(memory, numbers, chunk * share, std::min(units, (chunk + 1) * share)); });
    }

  private:
    struct StepOf {
        Operation<T> run;
        int out, a, b;
        bool a_single, b_single;
    };

    static constexpr Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }
    static Index itemsize(const Slot& s) { return s.kind == Slot::boolean ? 1 : static_cast<Index>(sizeof(T)); }
    static bool in_memory(const Slot& s) { return s.kind == Slot::memory || s.kind == Slot::boolean; }
    Index step_of(int k) const { return slots_[k].place.strides.back(); }  // along a row, in bytes
    bool single(int k) const { return !in_memory(slots_[k]) ? slots_[k].kind != Slot::block : step_of(k) == 0; }
    // Whether a block stands for the memory: booleans, and elements that do not lie side by side.
    bool staged(int k) const {
        const Slot& s = slots_[k];
        return s.kind == Slot::boolean || (s.kind == Slot::memory && !single(k) && step_of(k) != static_cast<Index>(sizeof(T)));
    }

    static Operation<T> operation(const std::string& name) {
        for (const Named<T>& known : table<T>())
            if (name == known.name) return known.run;
        throw std::invalid_argument("an elementwise program has no operation " + name);
    }

    void check(const Buffers& memory, const std::vector<bool>& written) {
        block_.assign(slots_.size(), -1);
        for (std::size_t k = 0; k < slots_.size(); ++k) {
            const Slot& s = slots_[k];
            if (in_memory(s)) {
                expect_inside(memory, s.place, shape_, itemsize(s), written[k]);
                expect(!written[k] || step_of(k) == itemsize(s), "a result whose elements lie side by side");
                for (std::size_t d = 0; written[k] && d + 1 < shape_.size(); ++d)
                    expect(shape_[d] == 1 || s.place.strides[d] != 0, "a result with a place for each element");
                in_memory_.push_back(static_cast<int>(k));
            }
            if (s.kind == Slot::block || staged(k)) block_[k] = blocks_++;
        }
        expect(blocks_ <= most_blocks, "at most 40 blocks");
        refuse_overlaps(written);
    }

    // A result may lie exactly where an operand lies, but not share a part of its memory with one.
    void refuse_overlaps(const std::vector<bool>& written) const {
        for (std::size_t k = 0; k < slots_.size(); ++k)
            for (std::size_t j = 0; written[k] && j < slots_.size(); ++j) {
                const Slot &a = slots_[k], &b = slots_[j];
                if (j == k || !in_memory(a) || !in_memory(b) || a.place.buffer != b.place.buffer) continue;
                const Range r = range_of(a.place, shape_, itemsize(a)), other = range_of(b.place, shape_, itemsize(b));
                const bool same = a.kind == b.kind && a.place.offset == b.place.offset && a.place.strides == b.place.strides;
                expect(same || !r.meets(other), "results and operands that do not overlap");
            }
    }

    // Units [first, last): blocks of rows, row by row.
    void go(const Buffers& memory, const double* numbers, Index first, Index last) const {
        alignas(64) T blocks[most_blocks][width];
        std::vector<T> values(slots_.size());
        std::vector<char*> at(slots_.size()), start(slots_.size());
        for (std::size_t k = 0; k < slots_.size(); ++k) {
            const Slot& s = slots_[k];
            if (block_[k] >= 0) at[k] = reinterpret_cast<char*>(blocks[block_[k]]);
            if (s.kind == Slot::number) values[k] = static_cast<T>(numbers[s.index]);
            if (s.kind == Slot::constant) values[k] = static_cast<T>(s.value);
            if (s.kind == Slot::number || s.kind == Slot::constant) at[k] = reinterpret_cast<char*>(&values[k]);
        }
        const Index in_a_row = ceil_div(cols_, width);
        std::vector<Index> position(shape_.size());
        begin_at(memory, first / in_a_row, position, start);
        if (copies_) return copy_rows(position, start, first, last);
        for (Index unit = first, part = first % in_a_row; unit < last; ++unit) {
            const Index j = part * width, n = std::min(width, cols_ - j);
            for (const int k : in_memory_) {
                char* from = start[k] + j * step_of(k);
                if (block_[k] < 0)
                    at[k] = from;
                else if (!results_[k])
                    bring(k, from, reinterpret_cast<T*>(at[k]), n);
            }
            for (const StepOf& s : steps_) {
                s.run({reinterpret_cast<T*>(at[s.out]), reinterpret_cast<const T*>(at[s.a]), reinterpret_cast<const T*>(at[s.b]),
                       s.a_single, s.b_single, n});
                if (slots_[s.out].kind == Slot::boolean) {
                    const T* y = reinterpret_cast<const T*>(at[s.out]);
                    char* to = start[s.out] + j;
                    for (Index i = 0; i < n; ++i) to[i] = y[i] != 0;
                }
            }
            if (++part == in_a_row) part = 0, next_row(position, start);
        }
    }

    // The same where all there is to do is to move rows that lie side by side.
    void copy_rows(std::vector<Index>& position, std::vector<char*>& start, Index first, Index last) const {
        const StepOf& s = steps_.front();
        const Index in_a_row = ceil_div(cols_, width);
        for (Index unit = first, part = first % in_a_row; unit < last; ++unit) {
            const Index j = part * width, n = std::min(width, cols_ - j);
            std::memmove(start[s.out] + j * sizeof(T), start[s.a] + j * sizeof(T), n * sizeof(T));
            if (++part == in_a_row) part = 0, next_row(position, start);
        }
    }

    // Where a row begins in each piece of memory, and its place along the dimensions in front.
    void begin_at(const Buffers& memory, Index row, std::vector<Index>& position, std::vector<char*>& start) const {
        for (Index d = static_cast<Index>(shape_.size()) - 2; d >= 0; row /= shape_[d], --d) position[d] = row % shape_[d];
        for (const int k : in_memory_) {
            const Place& p = slots_[k].place;
            start[k] = memory[p.buffer].data + p.offset;
            for (std::size_t d = 0; d + 1 < shape_.size(); ++d) start[k] += position[d] * p.strides[d];
        }
    }

    void next_row(std::vector<Index>& position, std::vector<char*>& start) const {
        for (Index d = static_cast<Index>(shape_.size()) - 2; d >= 0; --d) {
            for (const int k : in_memory_) start[k] += slots_[k].place.strides[d];
            if (++position[d] < shape_[d]) return;
            for (const int k : in_memory_) start[k] -= shape_[d] * slots_[k].place.strides[d];
            position[d] = 0;
        }
    }

    void bring(std::size_t k, const char* from, T* to, Index n) const {
        const Index step = step_of(static_cast<int>(k));
        if (slots_[k].kind == Slot::boolean)
            for (Index i = 0; i < n; ++i) to[i] = static_cast<T>(from[i * step] != 0);
        else
            for (Index i = 0; i < n; ++i) std::memcpy(to + i, from + i * step, sizeof(T));
    }

    std::vector<Index> shape_;
    std::vector<Slot> slots_;
    std::vector<StepOf> steps_;
    std::vector<int> block_;      // of each slot: its block, or -1
    std::vector<int> in_memory_;  // slots
    std::vector<bool> results_;
    Index rows_ = 1, cols_ = 1;
    bool copies_ = false;
    int blocks_ = 0;
};

}  // namespace

template <class T>
Ready elementwise(const Buffers& memory, std::vector<Index> shape, std::vector<Slot> slots, const std::vector<Step>& steps) {
    return std::make_unique<Program<T>>(memory, std::move(shape), std::move(slots), steps);
}
template Ready elementwise<float>(const Buffers&, std::vector<Index>, std::vector<Slot>, const std::vector<Step>&);
template Ready elementwise<double>(const Buffers&, std::vector<Index>, std::vector<Slot>, const std::vector<Step>&);

std::vector<std::string> operations() {
    std::vector<std::string> names;
    for (const Named<float>& known : table<float>()) names.push_back(known.name);
    return names;
}

}  // namespace mmb::replay
