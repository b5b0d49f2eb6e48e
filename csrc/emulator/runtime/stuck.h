// What is told when the threads of a block cannot go on together.
#pragma once
#include "findings.h"
#include "scheduler.h"

namespace emulator {

Finding diverged(const Thread& one, const Thread& other);  // at two barriers
Finding exited(const Thread& one, int waiting);            // some at a barrier, the others gone
Finding deadlocked();                                      // nobody can run

}  // namespace emulator
