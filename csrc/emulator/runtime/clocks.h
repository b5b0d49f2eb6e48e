// What happened before what: vector clocks of the running block.
#pragma once
#include <cstdint>

#include "checker.h"
#include "regions.h"

namespace emulator::clocks {

void launch_begins();
void block_begins();
void barrier_passed();
uint32_t next_block();                      // a number for an operation of the host, which has no threads
bool is_of_this_launch(uint32_t block);
// Whether an earlier launch or copy was over before this one began; a host with streams says so.
extern bool (*came_before)(uint32_t block);
uint32_t block();                           // serial number over all launches
bool knows(int thread, const Past& past, bool is_shared);  // `past` happened before what `thread` does now
checker::Time now(int thread);
checker::Time twin_now(int thread);
void met_at(const void* p);                 // an atomic of the running thread: through it threads may learn
void fence();

}  // namespace emulator::clocks
