// Stands in for NVIDIA's header of this name.
#pragma once
#include "cuda_runtime.h"
#include "emulator/cp_async.h"
#include "emulator/groups.h"

namespace cooperative_groups {

// The group begins to copy so many bytes; nobody has them before wait(). Each thread copies pieces of
// 16, 8 or 4 bytes, the largest that fit; what is not to shared memory is there at once, as in CUDA.
template <class Group, class T>
EMULATOR_INLINE void memcpy_async(const Group& group, T* to, const T* from, size_t bytes, emulator::Place at = emulator::Place::here()) {
    const auto odd = reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from) | bytes;
    const size_t piece = odd % 16 == 0 ? 16 : odd % 8 == 0 ? 8 : odd % 4 == 0 ? 4 : 1;
    auto* target = reinterpret_cast<char*>(to);
    const auto* source = reinterpret_cast<const char*>(from);
    for (size_t i = group.thread_rank() * piece; i < bytes; i += group.num_threads() * piece)
        if (piece == 1 || emulator::is_global(to))
            for (size_t k = i; k < i + piece; ++k) target[k] = source[k];
        else
            emulator::cp_async(target + i, source + i, static_cast<int>(piece), static_cast<int>(piece), at);
    emulator::cp_async_commit();
}

// At most so many of the group's latest copies are still on their way.
template <unsigned PENDING, class Group>
EMULATOR_INLINE void wait_prior(const Group& group, emulator::Place at = emulator::Place::here()) {
    emulator::cp_async_wait(PENDING);
    group.sync(at);
}
template <class Group>
EMULATOR_INLINE void wait(const Group& group, emulator::Place at = emulator::Place::here()) {
    wait_prior<0>(group, at);
}

}  // namespace cooperative_groups
