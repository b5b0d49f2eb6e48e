// The profile: how many bank conflicts and sectors each line of a kernel costs.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "site.h"

namespace emulator::profile {

void launch_begins();
void count(int thread, std::uintptr_t address, std::size_t bytes, Site site, bool is_shared);
struct Piece {
    std::uintptr_t address;
    std::size_t bytes;
};
void count_bulk(const std::vector<Piece>& pieces, Site site);  // of global memory, that one thread asks for at once
void barrier_passed();
std::string as_json();

}  // namespace emulator::profile
