// What the compiler's instrumentation tells the checker.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "emulator/runtime.h"

namespace emulator {

// `code`: where the instruction stands, as __builtin_return_address gives it.
// A copy is made byte by byte: it may begin anywhere.
void instrumented(const void* p, std::size_t bytes, Access kind, const void* code, bool is_volatile, bool is_copy = false);
[[noreturn]] void index_out_of_bounds(const char* file, int line, const std::string& index, const std::string& type);

}  // namespace emulator
