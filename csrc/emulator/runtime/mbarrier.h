// Barriers in shared memory that count arrivals and bytes. For tma.cpp.
#pragma once
#include <cstdint>

#include "checker.h"

namespace emulator::mbarrier {

// TMA may count at it: it was initialised, and fence_barrier_init came after. Else the kernel ends.
void require_known(uint64_t* barrier, Place at);
// So many bytes have landed, which `owner` issued at that time.
void bytes_landed(uint64_t* barrier, long long bytes, int owner, checker::Time issued);
// The block is over and all has landed: a barrier that still counts bytes is a finding.
void report_missing_bytes();

}  // namespace emulator::mbarrier
