// The static variables of the kernels, read from the symbol table of this library: __shared__ ones are
// variables of a function, __device__ and __constant__ ones are not.
#pragma once
#include <cstdint>
#include <string>

namespace emulator {

struct Variable {
    std::uintptr_t begin = 0;
    std::size_t bytes = 0;
    std::string name;  // as in the source: "tile"
    bool is_shared = false;
};
const Variable* variable_at(std::uintptr_t p);     // nullptr where there is none
bool is_in_this_library(std::uintptr_t p, bool* is_writable);

}  // namespace emulator
