// Where in the source something happened, kept as a small number until somebody asks.
#pragma once
#include <cstdint>
#include <string>

#include "emulator/runtime.h"

namespace emulator {

using Site = uint32_t;  // 0: unknown

Site site_of(Place at);
Site site_of(const void* code);  // an address just behind a call, as __builtin_return_address gives

struct Source {
    std::string file;  // as the compiler was given it
    int line = 0;
    std::string function;
};
const Source& source_of(Site site);

std::string file_and_line(Site site);  // "softmax.cu:31"

}  // namespace emulator
