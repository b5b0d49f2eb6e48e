// Stands in for NVIDIA's header of this name: cp.async as the programming guide prints it.
#pragma once
#include "cuda_runtime.h"
#include "emulator/cp_async.h"

// Begin to copy 4, 8 or 16 bytes to shared memory; the last `zeros` of them become zero instead.
EMULATOR_INLINE void __pipeline_memcpy_async(void* shared, const void* global, size_t bytes, size_t zeros = 0,
                                             emulator::Place at = emulator::Place::here()) {
    if (bytes != 4 && bytes != 8 && bytes != 16)
        emulator::fail("cp.async", at, "__pipeline_memcpy_async copies 4, 8 or 16 bytes, but was given %zu", bytes);
    if (emulator::is_global(shared))
        emulator::fail("cp.async", at, "__pipeline_memcpy_async copies to shared memory, but its destination, the first argument, is global");
    emulator::cp_async(shared, global, static_cast<int>(bytes), static_cast<int>(bytes) - static_cast<int>(zeros), at);
}
EMULATOR_INLINE void __pipeline_commit() { emulator::cp_async_commit(); }
EMULATOR_INLINE void __pipeline_wait_prior(size_t pending) { emulator::cp_async_wait(static_cast<int>(pending)); }
