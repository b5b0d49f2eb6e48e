// Ends a kernel that goes on and on, while it runs: in mode "check", on Linux and x86-64.
//
// A loop that touches no memory: most likely the compiler has read once, before the loop, the variable
// for which the loop waits, as nvcc may too. If the processor is twice in one state, the loop is without
// end; where it counts its rounds, no two states are alike, and patience decides. A loop that reads the
// same places over and over and counts its rounds: patience, too (spinning.h knows those that do not count).
#pragma once

namespace emulator {

class Watchdog {  // for one launch: while it lives, it looks at the thread ten times in a second of its work
   public:
    Watchdog();
    ~Watchdog();
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;

   private:
    bool is_on_ = false;
};

}  // namespace emulator
