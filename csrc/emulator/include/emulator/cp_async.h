// cp.async, as ptx.cuh, cuda_pipeline.h and cooperative_groups call it.
#pragma once
#include "runtime.h"

namespace emulator {

void cp_async(void* shared, const void* global, int bytes, int valid, Place at);
void cp_async_commit();
void cp_async_wait(int pending);
bool is_global(const void* p);  // certainly: without the checker nobody knows

}  // namespace emulator
