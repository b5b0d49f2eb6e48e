// malloc, free, new and delete in a kernel: the device's own heap. In mode "check" a program's calls
// of the four come here (emulator/build.py renames them in its object file), those of the host too.
#if defined(EMULATOR_CHECK)
#include <cstdlib>
#include <cstring>
#include <new>
#include <set>

#include "runtime/site.h"
#include "state.h"

namespace emulator {
namespace {

constexpr char MALLOC[] = "malloc in a kernel", NEW[] = "new in a kernel";

Place place_of(const void* code) {
    static std::set<std::string> files;  // a Place keeps a pointer
    const Source& source = source_of(site_of(code));
    return {files.insert(source.file).first->c_str(), source.line, ""};
}

void* take(const char* function, size_t bytes, const void* code) {
    void* p = nullptr;
    host().memory.allocate(MemoryKind::device, &p, bytes ? bytes : 1, function, place_of(code));
    return p;
}

void give_back(const char* function, void* p, const void* code) {
    Host& h = host();
    const auto address = reinterpret_cast<uintptr_t>(p);
    const Place place = place_of(code);
    Allocation* a = h.memory.holds(address) ? h.memory.nearest(address) : nullptr;
    if (!a || address >= a->end() || a->start != address || !is_of_heap(*a))
        return tell("invalid-free", place, text("%s in a kernel got %s, which no malloc or new of a kernel gave.", function, describe(p).c_str()));
    if (a->freed.line)
        return tell("double-free", place, text("%s in a kernel frees %s a second time.", function, where(*a).c_str()),
                    {{a->made, text("%s gave this memory here", a->function)}, {a->freed, "it was freed here"}});
    h.memory.retire(*a, place);
}

}  // namespace

bool is_of_heap(const Allocation& a) { return a.function == MALLOC || a.function == NEW; }

}  // namespace emulator

using emulator::host;

extern "C" {
void* mmb_malloc(size_t bytes) {
    return host().inside_kernel ? emulator::take(emulator::MALLOC, bytes, __builtin_return_address(0)) : std::malloc(bytes);
}
void mmb_free(void* p) {
    if (!host().inside_kernel) return std::free(p);
    if (p) emulator::give_back("free", p, __builtin_return_address(0));
}
void* mmb_new(size_t bytes) {
    return host().inside_kernel ? emulator::take(emulator::NEW, bytes, __builtin_return_address(0)) : ::operator new(bytes);
}
void mmb_delete(void* p) {
    if (!host().inside_kernel) return ::operator delete(p);
    if (p) emulator::give_back("delete", p, __builtin_return_address(0));
}
void mmb_delete_sized(void* p, size_t) {
    if (!host().inside_kernel) return ::operator delete(p);
    if (p) emulator::give_back("delete", p, __builtin_return_address(0));
}
void* mmb_new_array(size_t) __attribute__((alias("mmb_new")));
void mmb_delete_array(void*) __attribute__((alias("mmb_delete")));
void mmb_delete_array_sized(void*, size_t) __attribute__((alias("mmb_delete_sized")));
}
#else
#include "state.h"
bool emulator::is_of_heap(const Allocation&) { return false; }
#endif
