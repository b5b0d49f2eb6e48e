// Running a kernel over a grid. For api.cpp and host.cpp.
#pragma once
#include <cstddef>

#include "emulator/runtime.h"

namespace emulator {

// Every thread of the grid calls kernel(values). `bytes` of `values` are the kernel's parameters,
// which it may read as it likes. 0, or an error number of CUDA: then findings.h has the reason.
int launch(const char* name, dim3 grid, dim3 block, std::size_t shared, void (*kernel)(const void*), const void* values,
           std::size_t bytes);

}  // namespace emulator
