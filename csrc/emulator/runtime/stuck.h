// What is told when the threads of a block cannot go on together.
#pragma once
#include "findings.h"
#include "scheduler.h"

namespace emulator {

Finding diverged(const Thread& one, const Thread& other);  // at two barriers
Finding exited(const Thread& one, int waiting);            // some at a barrier, the others gone
Finding deadlocked();                                      // nobody can run
bool any_spins();                                          // nobody can run, and some wait for memory to change
Finding spun_for_ever();                                   // then
Finding endless_loop(Site at, const char* what_it_does, const std::string& mend);  // the running thread is in one

}  // namespace emulator
