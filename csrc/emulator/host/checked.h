// What the checker is told about the program's memory. Builds without the checker tell nobody.
#pragma once
#include "state.h"
#if defined(EMULATOR_CHECK)
#include <cstring>

#include "runtime/clocks.h"
#include "runtime/regions.h"
#endif

namespace emulator::checked {

#if defined(EMULATOR_CHECK)

constexpr bool looks = true;

// Memory of the device holds anything at first; what the host can write, it may have written.
inline void allocated(const Allocation& a, const std::string& name) {
    regions::add(reinterpret_cast<const void*>(a.start), a.bytes, name, Space::global, false, a.space != MemoryKind::device);
}

inline void freed(const Allocation& a, const std::string& name) {
    regions::remove(reinterpret_cast<const void*>(a.start));
    regions::remember_freed(reinterpret_cast<const void*>(a.start), a.bytes, name);
}

// The variables of the program: once, so that their past outlives a launch.
inline void know_variables() {
    static size_t known = 0;
    for (const auto& all = host().variables; known < all.size(); ++known) {
        const DeviceVariable& v = all[known];
        regions::add(reinterpret_cast<const void*>(v.start), v.bytes, v.name, Space::global, v.kind == "constant", true);
    }
}

inline uint32_t next_block() { return clocks::next_block(); }

// A copy or a fill, as an operation of a stream that has no threads: `when` is what order_begins gave.
inline void touched(const void* p, size_t bytes, bool writes, uint32_t when, Place place) {
    Region* region = regions::holding(reinterpret_cast<uintptr_t>(p));
    if (!region) return;
    const uintptr_t begin = reinterpret_cast<uintptr_t>(p), end = begin + bytes < region->end ? begin + bytes : region->end;
    for (uintptr_t at = begin & ~uintptr_t{3}; at < end; at += 4) {
        Cell& cell = region->cells[region->index(at)];
        const Past* const pasts[] = {&cell.write, &cell.reads[0], &cell.reads[1]};
        for (int i = 0; i < (writes ? 3 : 1); i++)
            if (pasts[i]->block && !came_before(pasts[i]->block)) {
                const Source& source = source_of(pasts[i]->site);
                tell_race_of_streams(region->described(), place, writes, {source.file.c_str(), source.line}, i == 0, pasts[i]->block);
            }
        Past& mine = writes ? cell.write : cell.reads[cell.reads[0].block && !came_before(cell.reads[0].block)];
        mine = {when, 0, site_of(place), 0, 15, writes ? Access::write : Access::read, false};
    }
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

// Whether no byte of this memory has been written.
inline bool unwritten(const void* p, size_t bytes) {
    const auto begin = reinterpret_cast<uintptr_t>(p);
    Region* region = regions::holding(begin);
    if (!region || region->starts_written || begin + bytes > region->end) return false;
    for (uintptr_t at = begin; at < begin + bytes; at++)
        if (region->written[region->index(at)] >> at % 4 & 1) return false;
    return true;
}

// Whether something was written there, and no reader came after.
inline bool never_read(const Allocation& a) {
    Region* region = regions::holding(a.start);
    bool is_written = false;
    for (uintptr_t at = a.start; region && at < region->end; at += 4) {
        const Cell& cell = region->cells[region->index(at)];
        if (cell.reads[0].block || cell.reads[1].block) return false;
        is_written |= cell.write.block != 0;
    }
    return is_written;
}

#else

constexpr bool looks = false;
inline bool unwritten(const void*, size_t) { return false; }
inline bool never_read(const Allocation&) { return false; }
inline void allocated(const Allocation&, const std::string&) {}
inline void freed(const Allocation&, const std::string&) {}
inline void written(const void*, size_t) {}
inline void know_variables() {}
inline uint32_t next_block() { return 0; }
inline void touched(const void*, size_t, bool, uint32_t, Place) {}

#endif

}  // namespace emulator::checked
