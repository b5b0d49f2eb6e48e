// One block of a launch. For launch.cpp.
#pragma once
#include <cstdint>

#include "emulator/runtime.h"

namespace emulator {

void begin_launch();
// Run block `which` of the grid: every thread calls kernel(values). False if it cannot go on.
bool run_block(dim3 grid, dim3 block, uint64_t which, void (*kernel)(const void*), const void* values);

// collective.cpp
void prepare_warps(int threads);  // nobody waits for anybody
bool gather_active_lanes();       // nobody runs: who waits in active_lanes() is active. True if some do

}  // namespace emulator
