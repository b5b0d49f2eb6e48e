// What a replay runs: instructions over pieces of memory that are known by number.
//
// A plan (tinygrad_mmb/capture/plan.py) says for every operand the buffer, the offset in bytes and
// the strides in bytes. Everything is checked once, when an instruction is made; a run checks nothing.
#pragma once
#include <algorithm>
#include <memory>

#include "array.hpp"

namespace mmb::replay {

struct Buffer {
    char* data = nullptr;  // null until a call of Python has made it
    Index nbytes = 0;
    bool writable = false;
};
using Buffers = std::vector<Buffer>;

// Where an array begins, and how far apart its elements are along each dimension, in bytes.
struct Place {
    Index buffer = 0, offset = 0;
    std::vector<Index> strides;
};

// First byte, and the one behind the last, of an array at a place.
struct Range {
    Index first, end;
    bool meets(const Range& other) const { return first < other.end && other.first < end; }
};
inline Range range_of(const Place& p, const std::vector<Index>& shape, Index itemsize) {
    Range r{p.offset, p.offset + itemsize};
    for (std::size_t d = 0; d < shape.size(); ++d) {
        const Index reach = (shape[d] - 1) * p.strides[d];
        (reach < 0 ? r.first : r.end) += reach;
    }
    return r;
}

// One thing to do. `numbers` are the scalars of this step: lr, 1 - β₁ᵗ.
struct Instruction {
    virtual ~Instruction() = default;
    virtual void run(const Buffers& memory, const double* numbers) const = 0;
    std::vector<Index> awaited;  // buffers that had no memory yet when this was made

  protected:
    void expect_inside(const Buffers& memory, const Place& p, const std::vector<Index>& shape, Index itemsize, bool written);
};
using Ready = std::unique_ptr<Instruction>;

// Refuses a place that is not inside its buffer: a wrong plan must not become a wild write.
inline void Instruction::expect_inside(const Buffers& memory, const Place& p, const std::vector<Index>& shape, Index itemsize, bool written) {
    expect(p.buffer >= 0 && p.buffer < static_cast<Index>(memory.size()), "a buffer of the plan");
    expect(p.strides.size() == shape.size(), "a stride for each dimension of an operand");
    for (const Index n : shape) expect(n >= 1, "at least one element along each dimension");
    const Buffer& b = memory[p.buffer];
    const Range r = range_of(p, shape, itemsize);
    expect(r.first >= 0 && r.end <= b.nbytes, "every operand inside its buffer");
    expect(!written || b.writable, "a result in memory that may be written");
    if (!b.data) awaited.push_back(p.buffer);
}

}  // namespace mmb::replay
