// Elementwise programs: what a group of NumPy calls computes, in one pass over memory.
//
//   m = β₁ m + (1 - β₁) g;  v = ...;  θ = θ - lr m / ...       Adam: p, g, m, v are read once
//
// A small register machine goes through blocks of 256 elements, all operations on one block before
// the next block: intermediate results stay in the nearest cache. Each operation rounds as NumPy's
// does, so a program gives NumPy's bits, but for quotients by one number and exponentials
// (vector_math.hpp): they differ by a unit or two in the last place.
#pragma once
#include <tuple>

#include "instruction.hpp"

namespace mmb::replay {

// What an operation reads or writes.
struct Slot {
    enum Kind { block, memory, boolean, number, constant };
    Kind kind = block;   // block: between operations only; boolean: memory of bytes 0 and 1
    Place place;         // of memory
    Index index = 0;     // of a number
    double value = 0;    // of a constant
};

// (name, slot of the result, slots of the operands); an operation of one operand names it twice.
using Step = std::tuple<std::string, int, int, int>;

// A pass over `shape`; T is the type of everything but booleans.
template <class T>
Ready elementwise(const Buffers& memory, std::vector<Index> shape, std::vector<Slot> slots, const std::vector<Step>& steps);

std::vector<std::string> operations();  // their names: NumPy's, and "gate"

}  // namespace mmb::replay
