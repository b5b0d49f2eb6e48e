#include "launch.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "block.h"
#include "checker.h"
#include "findings.h"
#include "scheduler.h"
#include "watchdog.h"
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace emulator {
namespace {

constexpr int INVALID_CONFIGURATION = 9, LAUNCH_FAILURE = 719;  // cudaError_t
constexpr std::size_t ALIGNMENT = 1024;                         // TMA with a 128-byte swizzle asks for it
constexpr std::size_t MOST_SHARED = 232448;                     // bytes a block may have, from sm_90 on

char* shared_memory = nullptr;
std::size_t shared_bytes = 0;

struct SharedMemory {  // of one block, at its exact size: a byte further is not ours
    explicit SharedMemory(std::size_t bytes) {
        shared_bytes = bytes;
        if (!bytes) return;
        const std::size_t whole = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        shared_memory = static_cast<char*>(std::aligned_alloc(ALIGNMENT, whole));
        std::memset(shared_memory, 0xff, bytes);  // NaN: a result from memory never written shows
#if defined(__SANITIZE_ADDRESS__)
        __asan_poison_memory_region(shared_memory + bytes, whole - bytes);
#endif
    }
    ~SharedMemory() {
#if defined(__SANITIZE_ADDRESS__)
        __asan_unpoison_memory_region(shared_memory, (shared_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
#endif
        std::free(shared_memory);
        shared_memory = nullptr;
        shared_bytes = 0;
    }
};

std::string sizes(dim3 v) { return in_words({v.x, v.y, v.z}); }

bool is_legal(const char* name, dim3 grid, dim3 block, std::size_t shared) {
    const auto too = [&](const std::string& why) {
        refuse(std::string("kernel ") + name + " cannot be launched: " + why);
        return false;
    };
    const uint64_t threads = static_cast<uint64_t>(block.x) * block.y * block.z;
    if (!threads) return too("its block " + sizes(block) + " has no threads");
    if (threads > 1024) return too("its block " + sizes(block) + " has " + std::to_string(threads) + " threads, but 1024 are the most");
    if (block.z > 64) return too("its block " + sizes(block) + " is deeper than 64");
    if (!grid.x || !grid.y || !grid.z) return too("its grid " + sizes(grid) + " is empty");
    if (grid.y > 65535 || grid.z > 65535) return too("its grid " + sizes(grid) + " has more than 65535 in y or z");
    if (shared > MOST_SHARED)
        return too("it asks for " + std::to_string(shared) + " bytes of shared memory, but a block has " + std::to_string(MOST_SHARED) + " at most");
    return true;
}

}  // namespace

void* dynamic_shared() { return shared_memory; }
std::size_t dynamic_shared_bytes() { return shared_bytes; }
uint32_t shared_address(const void* p) { return static_cast<uint32_t>(static_cast<const char*>(p) - shared_memory); }

int launch(const char* name, dim3 grid, dim3 block, std::size_t shared, void (*kernel)(const void*), const void* values,
           std::size_t bytes) {
    kernel_name = name;
    forget_findings();
    if (!is_legal(name, grid, block, shared)) return INVALID_CONFIGURATION;
    const uint64_t blocks = static_cast<uint64_t>(grid.x) * grid.y * grid.z;
    std::vector<uint64_t> order;
    if (options.seed) {
        for (uint64_t i = 0; i < blocks; ++i) order.push_back(blocks - 1 - i);
        if (options.seed > 1) std::shuffle(order.begin(), order.end(), std::mt19937(static_cast<unsigned>(options.seed)));
    }
    begin_launch();
    checker::launch_begins(values, bytes);
    bool runs = true;
    const Watchdog watchdog;
    for (uint64_t i = 0; i < blocks && runs; ++i) {
        const SharedMemory memory(shared);
        runs = run_block(grid, block, order.empty() ? i : order[i], kernel, values);
    }
    checker::launch_ends();
    return any_findings() ? LAUNCH_FAILURE : 0;
}

}  // namespace emulator
