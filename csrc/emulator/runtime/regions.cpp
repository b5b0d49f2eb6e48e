#include "regions.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <vector>

#include "symbols.h"

#if defined(EMULATOR_CHECK)
namespace emulator {

Region::Region(std::uintptr_t begin, std::size_t bytes, std::string name, Space space, bool is_read_only, bool starts_written)
    : begin(begin), end(begin + bytes), name(std::move(name)), space(space), is_read_only(is_read_only),
      starts_written(starts_written), cells(count()), written(count()) {}

std::string Region::described() const {
    switch (space) {
        case Space::shared: return "shared array '" + name + "'";
        case Space::dynamic_shared: return "dynamic shared memory";
        default: return "array '" + name + "'";
    }
}

namespace regions {
namespace {

std::map<std::uintptr_t, Region> all;  // by where they begin
Region* last = nullptr;                // the one that was asked for last: most often asked for again
std::vector<std::uintptr_t> arrays;
std::deque<Freed> freed;

}  // namespace

Region* holding(std::uintptr_t p) {
    if (last && p >= last->begin && p < last->end) return last;
    auto next = all.upper_bound(p);
    if (next == all.begin()) return nullptr;
    Region& region = std::prev(next)->second;
    return p < region.end ? last = &region : nullptr;
}

Region* nearest(std::uintptr_t p) {
    Region* best = nullptr;
    std::uintptr_t distance = std::uintptr_t{1} << 30;  // further is no overrun
    for (auto& [begin, region] : all) {
        const std::uintptr_t d = p >= region.end ? p - region.end : p < begin ? begin - p : 0;
        if (d < distance) {
            distance = d;
            best = &region;
        }
    }
    return best;
}

Region& add(const void* p, std::size_t bytes, const std::string& name, Space space, bool is_read_only, bool starts_written) {
    auto begin = reinterpret_cast<std::uintptr_t>(p), end = begin + bytes;
    last = nullptr;
    for (auto f = freed.begin(); f != freed.end();) f = f->begin < end && begin < f->end ? freed.erase(f) : f + 1;
    // Views of one array: what a kernel may do to either it may do to both.
    std::string joined = name;
    for (auto r = all.begin(); r != all.end();) {
        const Region& other = r->second;
        const bool is_same = other.begin == begin, overlaps = other.begin < end && begin < other.end;
        if (overlaps) {
            if (!is_same || other.end != end) joined = other.name + " and " + joined;
            begin = std::min(begin, other.begin), end = std::max(end, other.end);
            is_read_only &= other.is_read_only, starts_written |= other.starts_written;
        }
        r = is_same || overlaps ? all.erase(r) : std::next(r);
    }
    return all.try_emplace(begin, begin, end - begin, joined, space, is_read_only, starts_written).first->second;
}

void remove(const void* p) {
    last = nullptr;
    all.erase(reinterpret_cast<std::uintptr_t>(p));
}

void remember_as_array(const void* p) { arrays.push_back(reinterpret_cast<std::uintptr_t>(p)); }

void forget_arrays() {
    last = nullptr;
    for (const std::uintptr_t begin : arrays) all.erase(begin);
    arrays.clear();
}

void forget_written(const void* p, std::size_t bytes, uint64_t value, std::size_t item_bytes) {
    const auto begin = reinterpret_cast<std::uintptr_t>(p);
    Region* region = holding(begin);
    if (!region) return;
    if (region->starts_written) std::memset(region->written.data(), 0x0f, region->count());
    region->starts_written = false;
    for (std::uintptr_t item = begin; item + item_bytes <= begin + bytes; item += item_bytes) {
        if (std::memcmp(reinterpret_cast<const void*>(item), &value, item_bytes)) continue;
        for (std::uintptr_t b = item; b < item + item_bytes; ++b) region->written[region->index(b)] &= ~(1u << b % 4);
    }
}

bool add_variable_at(std::uintptr_t p) {
    const Variable* v = variable_at(p);
    if (!v) return false;
    add(reinterpret_cast<const void*>(v->begin), v->bytes, v->name, v->is_shared ? Space::shared : Space::global, false, !v->is_shared);
    return true;
}

const Freed* freed_at(std::uintptr_t p) {
    for (const Freed& f : freed)
        if (p >= f.begin && p < f.end) return &f;
    return nullptr;
}

void remember_freed(const void* p, std::size_t bytes, const std::string& name) {
    constexpr std::size_t MOST = 1000;
    const auto begin = reinterpret_cast<std::uintptr_t>(p);
    if (freed.size() == MOST) freed.pop_front();
    freed.push_back({begin, begin + bytes, name});
}

}  // namespace regions
}  // namespace emulator
#endif
