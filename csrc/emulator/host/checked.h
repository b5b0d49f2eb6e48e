// What the checker is told about the program's memory. Builds without the checker tell nobody.
#pragma once
#include "state.h"
#if defined(EMULATOR_CHECK)
#include <cstring>

#include "runtime/regions.h"
#endif

namespace emulator::checked {

#if defined(EMULATOR_CHECK)

// Memory of the device holds anything at first; what the host can write, it may have written.
inline void allocated(const Allocation& a, const std::string& name) {
    regions::add(reinterpret_cast<const void*>(a.start), a.bytes, name, Space::global, false, a.space != MemoryKind::device);
}

inline void freed(const Allocation& a, const std::string& name) {
    regions::remove(reinterpret_cast<const void*>(a.start));
    regions::remember_freed(reinterpret_cast<const void*>(a.start), a.bytes, name);
}

// A copy or a fill by the host. Allocations begin at multiples of 4, which is what the shadow counts.
inline void written(const void* p, size_t bytes) {
    const auto begin = reinterpret_cast<uintptr_t>(p);
    Region* region = regions::holding(begin);
    if (!region || region->starts_written) return;
    const uintptr_t end = begin + bytes < region->end ? begin + bytes : region->end;
    for (uintptr_t at = begin; at < end && (at % 4 || end - at < 4); at++) region->written[region->index(at)] |= 1u << at % 4;
    const uintptr_t first = (begin + 3) / 4 * 4, last = end / 4 * 4;
    if (last > first) std::memset(&region->written[region->index(first)], 0x0f, (last - first) / 4);
    for (uintptr_t at = last > begin ? last : begin; at < end; at++) region->written[region->index(at)] |= 1u << at % 4;
}

#else

inline void allocated(const Allocation&, const std::string&) {}
inline void freed(const Allocation&, const std::string&) {}
inline void written(const void*, size_t) {}

#endif

}  // namespace emulator::checked
