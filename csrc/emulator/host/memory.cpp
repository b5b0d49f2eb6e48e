// Memory of the device: where it lies, and who may touch it when.
//
// One reservation of addresses holds three kinds: device memory, managed memory, pinned memory of
// the host. While the program runs, the pages of device memory are closed: a program that
// dereferences a device pointer faults there, and fault.cpp says so. Between a kernel and the
// next wait, managed memory is closed too.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "checked.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

namespace emulator {

constexpr size_t ALIGNMENT = 256;  // of cudaMalloc
constexpr size_t GUARD = 256;      // bytes kept free behind each allocation
constexpr size_t MARGIN = 1 << 16;  // before the first: x[-1] must not be a neighbour's memory
constexpr unsigned char FRESH = 0xff, GUARDED = 0xa5;  // 0xff: NaN as a float, -1 as an int
constexpr size_t FILLED = size_t(256) << 20;            // fill no more than this of fresh memory

static size_t page() {
    static const size_t size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    return size;
}
static uintptr_t up(uintptr_t x, size_t to) { return (x + to - 1) / to * to; }

size_t Memory::total() const {
    const size_t machine = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * page();
    return machine < (size_t(16) << 30) ? machine : size_t(16) << 30;
}

void Memory::reserve() {
    for (size_t bytes = size_t(96) << 30; !base_ && bytes >= (size_t(1) << 28); bytes /= 2) {
        void* p = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p != MAP_FAILED) base_ = reinterpret_cast<uintptr_t>(p), size_ = bytes;
    }
    const size_t third = size_ / 3 / page() * page();
    for (int k = 0; k < 3; k++) {
        limit_[k] = base_ + (k + 1) * third;
        next_[k] = base_ + k * third + MARGIN;
    }
}

cudaError_t Memory::allocate(MemoryKind space, void** p, size_t bytes, const char* function, Place place) {
    *p = nullptr;
    if (!base_) reserve();
    if (bytes == 0) return cudaSuccess;
    const int k = static_cast<int>(space);
    const size_t step = space == MemoryKind::device ? ALIGNMENT : page();  // pages of one owner can be closed alone
    const uintptr_t start = next_[k];
    if (bytes > total() || used_ + bytes > total() || bytes + GUARD > limit_[k] - start)
        return failed(cudaErrorMemoryAllocation, "out-of-memory", place,
                      text("%s of %zu bytes: the emulated device has %zu MiB, of which %zu MiB are taken.", function,
                           bytes, total() >> 20, used_ >> 20));
    const uintptr_t stop = up(start + bytes + GUARD, step);
    const uintptr_t first = start / page() * page(), last = up(stop, page());
    if (mprotect(reinterpret_cast<void*>(first), last - first, PROT_READ | PROT_WRITE))
        return failed(cudaErrorMemoryAllocation, "out-of-memory", place,
                      text("%s of %zu bytes: this machine gives no more memory.", function, bytes));
    std::memset(reinterpret_cast<void*>(start), FRESH, bytes < FILLED ? bytes : FILLED);
    std::memset(reinterpret_cast<void*>(start + bytes), GUARDED, GUARD);
    ASAN_POISON_MEMORY_REGION(reinterpret_cast<void*>(start + bytes), stop - start - bytes);
    next_[k] = stop;
    used_ += bytes;
    int number = 1;
    for (auto& entry : all_) number += entry.second.made.line == place.line && entry.second.made.file == place.file;
    all_[start] = {start, bytes, space, function, place, number, "", {}};
    checked::allocated(all_[start], where(all_[start]));
    open_ = true;
    if (!host().inside_kernel) close();
    *p = reinterpret_cast<void*>(start);
    return cudaSuccess;
}

Allocation* Memory::nearest(uintptr_t address) {
    auto after = all_.upper_bound(address);
    return after == all_.begin() ? nullptr : &std::prev(after)->second;
}

Allocation* Memory::find(uintptr_t address) {
    Allocation* a = nearest(address);
    return a && !a->freed.line && address < a->end() ? a : nullptr;
}

std::vector<Allocation*> Memory::living() {
    std::vector<Allocation*> found;
    for (auto& entry : all_)
        if (!entry.second.freed.line) found.push_back(&entry.second);
    return found;
}

bool Memory::guards_intact(const Allocation& a) const {
    const auto* guard = reinterpret_cast<const unsigned char*>(a.end());
    for (size_t i = 0; i < GUARD; i++)
        if (guard[i] != GUARDED) return false;
    return true;
}

// Addresses are never used twice, so that a pointer kept too long is known as one.
void Memory::retire(Allocation& a, Place place) {
    a.freed = place;
    if (!a.freed.line) a.freed.line = 1;
    used_ -= a.bytes;
    checked::freed(a, a.name.empty() ? where(a) : a.name);
    open();
    ASAN_POISON_MEMORY_REGION(reinterpret_cast<void*>(a.start), a.bytes);
    const uintptr_t first = up(a.start, page()), last = a.end() / page() * page();
    if (last > first) {
        madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
        mprotect(reinterpret_cast<void*>(first), last - first, PROT_NONE);
    }
    if (!host().inside_kernel) close();
}

void Memory::retire_all() {
    for (Allocation* a : living()) retire(*a, a->made);
}

static void protect(uintptr_t start, uintptr_t stop, int how) {
    const uintptr_t first = start / page() * page(), last = up(stop, page());
    mprotect(reinterpret_cast<void*>(first), last - first, how);
}
static void protect(const Allocation& a, int how) { protect(a.start, a.end() + GUARD, how); }
// Whether a variable is managed, and shares its pages with nothing: keywords.h aligns to those of most machines.
static bool can_close(const DeviceVariable& v) { return v.is_managed() && v.start % page() == 0 && 4096 % page() == 0; }

void Memory::open() {
    open_managed();
    if (open_) return;
    open_ = true;
    if (!protects) return;
    for (Allocation* a : living())
        if (a->space == MemoryKind::device) protect(*a, PROT_READ | PROT_WRITE);
}

void Memory::close() {
    if (!open_) return;
    open_ = false;
    const uintptr_t first = limit_[0] - size_ / 3 / page() * page(), last = up(next_[0], page());
    if (protects && last > first) mprotect(reinterpret_cast<void*>(first), last - first, PROT_NONE);
}

void Memory::close_managed() {
    if (!protects) return;
    for (Allocation* a : living())
        if (a->space == MemoryKind::managed || a->reached_by_copy) protect(*a, PROT_NONE), managed_closed_ = true;
    for (const DeviceVariable& v : host().variables)
        if (can_close(v)) protect(v.start, v.start + v.bytes, PROT_NONE), managed_closed_ = true;
}

void Memory::open_managed() {
    if (!managed_closed_) return;
    managed_closed_ = false;
    for (Allocation* a : living())
        if (a->space != MemoryKind::device) protect(*a, PROT_READ | PROT_WRITE);
    for (const DeviceVariable& v : host().variables)
        if (can_close(v)) protect(v.start, v.start + v.bytes, PROT_READ | PROT_WRITE);
}

}  // namespace emulator
