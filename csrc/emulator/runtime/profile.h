// The profile: how many bank conflicts and sectors each line of a kernel costs.
#pragma once
#include <cstdint>
#include <string>

#include "site.h"

namespace emulator::profile {

void launch_begins();
void count(int thread, std::uintptr_t address, std::size_t bytes, Site site, bool is_shared);
void barrier_passed();
std::string as_json();

}  // namespace emulator::profile
