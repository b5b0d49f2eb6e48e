// Launching a kernel of a program: what CUDA checks, and what it does not but a student should know.
#include <cstdio>
#include <cstdlib>

#include "api.h"
#include "runtime/findings.h"
#include "state.h"
#include "runtime/launch.h"

namespace emulator {

constexpr size_t PLAIN_SHARED = 48 << 10, MOST_SHARED = 227 << 10;  // bytes, of sm_90

// Why CUDA would refuse these sizes; empty if it would not.
static std::string misfit(dim3 grid, dim3 block) {
    const auto threads = static_cast<unsigned long long>(block.x) * block.y * block.z;
    const auto size = [](dim3 d) { return text("(%u, %u, %u)", d.x, d.y, d.z); };
    if (threads == 0) return "its block " + size(block) + " has no threads";
    if (threads > 1024) return "its block " + size(block) + text(" has %llu threads, and a block has 1024 at most", threads);
    if (block.z > 64) return "its block " + size(block) + " is deeper than 64";
    if (!grid.x || !grid.y || !grid.z) return "its grid " + size(grid) + " has no blocks";
    if (grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
        return "its grid " + size(grid) + " is larger than (2147483647, 65535, 65535)";
    return "";
}

static size_t shared_limit(const void* function) {
    const auto& limits = host().shared_limits;
    if (auto own = limits.find(function); function && own != limits.end()) return static_cast<size_t>(own->second);
    size_t most = PLAIN_SHARED;  // an instance of a template is launched without its address
    if (!function)
        for (auto& l : limits) most = static_cast<size_t>(l.second) > most ? static_cast<size_t>(l.second) : most;
    return most;
}

cudaError_t set_shared_limit(const void* kernel, int bytes, Place place) {
    if (bytes < 0 || static_cast<size_t>(bytes) > MOST_SHARED)
        return failed(cudaErrorInvalidValue, "invalid-argument", place,
                      text("cudaFuncSetAttribute asks for %d bytes of shared memory, and a block has %zu at most.", bytes, MOST_SHARED));
    host().shared_limits[kernel] = bytes;
    return cudaSuccess;
}

int blocks_per_multiprocessor(int threads, size_t shared) {
    const int by_threads = threads > 0 && threads <= 1024 ? 2048 / ((threads + 31) / 32 * 32) : 0;
    const int by_shared = static_cast<int>((228u << 10) / (shared + 1024));
    const int most = by_threads < by_shared ? by_threads : by_shared;
    return most < 32 ? most : 32;
}

// A pointer the device cannot follow. True if one was told.
static bool bad_pointer(const Configuration& how, const Argument& argument) {
    Host& h = host();
    const auto address = reinterpret_cast<uintptr_t>(argument.pointer);
    if (address < 4096 || h.is_registered(address)) return false;
    const std::string which = text("Argument %d of %s", argument.number, how.kernel);
    if (h.memory.holds(address)) {
        Allocation* a = h.memory.nearest(address);
        if (!a || !a->freed.line || address >= a->end()) return false;
        tell("use-after-free", how.place, which + " points to " + where(*a) + ", which was freed before.",
             {{a->made, text("%s gave this memory here", a->function)}, {a->freed, "it was freed here"}});
        return true;
    }
    if (DeviceVariable* v = h.variable(argument.pointer)) {
        if (v->address_taken || v->is_managed()) return false;
        tell("symbol-as-pointer", how.place,
             which + " is the address that " + v->name + " has on the host. On the device it has another.");
        return true;
    }
    tell("host-pointer", how.place, which + " points to memory of the host. A kernel cannot follow it.");
    return true;
}

// Besides what memory.cpp has told the checker.
static void register_memory() {
    Host& h = host();
    mmb_forget_arrays();
    for (const auto& r : h.registered) mmb_array(reinterpret_cast<const void*>(r.first), r.second, 0, "registered memory of the host");
}

static void check_guards(const Configuration& how) {
#if !defined(__SANITIZE_ADDRESS__)
    for (Allocation* a : host().memory.living()) {
        if (a->space != MemoryKind::device || a->guard_broken || host().memory.guards_intact(*a)) continue;
        a->guard_broken = true;
        tell("write-past-end", how.place,
             text("%s wrote past the end of %s (%zu bytes).", how.kernel, where(*a).c_str(), a->bytes),
             {{a->made, text("%s gave this memory here", a->function)}});
    }
#endif
}

// What CUDA would say after what was found: nothing where a GPU would have gone on, with whatever
// came out.
static cudaError_t error_of_findings() {
    static const struct {
        const char* kind;
        cudaError_t error;
    } known[] = {{"race", cudaSuccess},           {"uninitialised", cudaSuccess},
                 {"missing-wait", cudaSuccess},   {"assert", cudaErrorAssert},
                 {"unset-variable", cudaSuccess},
                 {"misaligned", cudaErrorMisalignedAddress},
                 {"out-of-bounds", cudaErrorIllegalAddress}, {"null-pointer", cudaErrorIllegalAddress},
                 {"wild-pointer", cudaErrorIllegalAddress},  {"illegal-address", cudaErrorIllegalAddress},
                 {"use-after-free", cudaErrorIllegalAddress}, {"read-only", cudaErrorIllegalAddress}};
    const std::string all = findings_as_json(), key = "{\"kind\": \"";
    for (size_t at = all.find(key); at != std::string::npos; at = all.find(key, at + 1)) {
        const size_t begin = at + key.size();
        const std::string kind = all.substr(begin, all.find('"', begin) - begin);
        cudaError_t error = cudaErrorLaunchFailure;
        for (const auto& k : known)
            if (kind == k.kind) error = k.error;
        if (error) return error;
    }
    return cudaSuccess;
}

static void write_profile(const Configuration& how) {
    const char* path = std::getenv("MMB_PROFILE");
    if (!path) return;
    if (FILE* file = std::fopen(path, "a")) {
        std::fprintf(file, "{\"kernel\": %s, \"line\": %d, \"grid\": [%u, %u, %u], \"block\": [%u, %u, %u], \"lines\": %s}\n",
                     quoted(how.kernel).c_str(), how.place.line, how.grid.x, how.grid.y, how.grid.z, how.block.x,
                     how.block.y, how.block.z, mmb_profile());
        std::fclose(file);
    }
}

void run_kernel(const Configuration& how, const Argument* pointers, int count, void (*body)(const void*),
                const void* closure, size_t bytes) {
    Host& h = host();
    if (h.inside_kernel)
        fail("not-emulated", how.place, "dynamic parallelism is not emulated: a kernel launches kernel %s", how.kernel);
    if (sticky()) return;
    if (const std::string why = misfit(how.grid, how.block); !why.empty()) {
        failed(cudaErrorInvalidConfiguration, "invalid-launch", how.place, text("%s is not launched: %s.", how.kernel, why.c_str()));
        return;
    }
    if (const size_t limit = shared_limit(how.function); how.shared > limit) {
        failed(cudaErrorInvalidValue, "invalid-launch", how.place,
               text("%s is not launched: it asks for %zu bytes of dynamic shared memory, and gets %zu at most.", how.kernel, how.shared, limit));
        return;
    }
    if (!is_stream(how.stream)) {
        failed(cudaErrorInvalidResourceHandle, "invalid-handle", how.place, text("%s is launched into a stream that was not created, or is destroyed.", how.kernel));
        return;
    }
    bool bad = false;
    for (int i = 0; i < count; i++) bad |= bad_pointer(how, pointers[i]);
    if (bad) {
        h.last = h.sticky = cudaErrorIllegalAddress;
        return;
    }
    register_memory();
    order_begins(how.stream, how.kernel, how.place);
    h.memory.open();
    h.inside_kernel = true;
    const int code = launch(how.kernel, how.grid, how.block, how.shared, body, closure, bytes);
    h.inside_kernel = false;
    check_guards(how);
    note_memory();
    h.memory.close();
    write_profile(how);
    h.pending = {true, how.kernel, how.place};
    h.memory.close_managed();
    if (const cudaError_t error = code ? error_of_findings() : cudaSuccess) h.last = h.sticky = error;
}

cudaError_t launch_listed(const char* function, const void* kernel, dim3 grid, dim3 block, void** arguments,
                          size_t shared, cudaStream_t stream, bool cooperative, Place place) {
    if (cooperative) return refuse(function, "blocks run one after the other, so they cannot wait for one another (grid.sync)", place);
    const mmb::Listed* found = mmb::Listed::head();
    while (found && reinterpret_cast<const void*>(found->entry.kernel) != kernel) found = found->next;
    if (!found)
        return failed(cudaErrorInvalidDeviceFunction, "invalid-launch", place,
                      text("%s got an address that is no kernel of this file. Launch an instance of a template with <<<>>>.", function));
    const struct Call {
        const mmb::Entry* entry;
        void** arguments;
    } call{&found->entry, arguments};
    Argument pointers[64];
    int count = 0;
    for (int i = 0; i < found->entry.count && i < 64; i++)
        if (found->entry.parameters[i].kind == mmb::Kind::pointer)
            pointers[count++] = {i + 1, *static_cast<void**>(arguments[i])};
    run_kernel({found->entry.name, place, grid, block, shared, stream, kernel}, pointers, count,
               [](const void* c) {
                   const auto* self = static_cast<const Call*>(c);
                   self->entry->invoke(self->entry->kernel, self->arguments);
               },
               &call, sizeof call);
    return cudaPeekAtLastError();
}

}  // namespace emulator
