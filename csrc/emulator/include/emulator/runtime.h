// What device code asks of the runtime: who am I, where is shared memory, wait for the others.
// The functions are in csrc/emulator/runtime/.
#pragma once
#include <cstddef>
#include <cstdint>

#include "emulator/vector_types.h"

// Code of the emulator itself, which the checker must not take for the kernel's.
#define EMULATOR_UNCHECKED __attribute__((no_sanitize("thread", "undefined")))
// Code that stands in the kernel as if written there: findings name the kernel's line.
#define EMULATOR_INLINE inline __attribute__((always_inline))

namespace emulator {

// A line of the kernel's source. As a default argument it is the line of the call.
struct Place {
    const char* file = nullptr;
    int line = 0;
    const char* function = "";
    static constexpr Place here(const char* file = __builtin_FILE(), int line = __builtin_LINE(),
                                const char* function = __builtin_FUNCTION()) {
        return {file, line, function};
    }
};

struct Context {
    uint3 thread, block;
    dim3 block_size, grid_size;
    int lane;
};
extern "C" Context mmb_thread;  // of the running thread; C, so that a debugger finds it by this name

void* dynamic_shared();
std::size_t dynamic_shared_bytes();
uint32_t shared_address(const void* p);  // within dynamic shared memory

enum class Reduce { none, any, all, count };
int block_barrier(Reduce reduce, int value, Place at);

// The lanes of `mask` meet; then the last of them to come runs `exchange` over what each brought.
using Exchange = void (*)(void** brought, unsigned mask);  // brought[lane]
void warp_collective(unsigned mask, void* brought, Exchange exchange, Place at);
unsigned active_lanes(Place at);  // those that come here too before nobody of the warp can go on
unsigned existing_lanes();        // of this thread's warp: 32, or fewer at the end of the block
unsigned living_lanes();          // of those, the ones that have not returned

enum class Access { read, write, atomic };
#if defined(EMULATOR_CHECK)
void access(const void* p, std::size_t bytes, Access kind, Place at);
void fence();  // what this thread wrote before is seen by whoever sees its next atomic
#else
inline void access(const void*, std::size_t, Access, Place) {}
inline void fence() {}
#endif

void atomic_turn(Place at);  // before an atomic: a loop of them may wait for another thread
void sleep();  // let others run: __nanosleep, and a loop that waits for another thread
uint64_t clock();

// The kernel cannot go on: a finding of this kind, and the launch ends.
[[noreturn]] void fail(const char* kind, Place at, const char* format, ...)
    __attribute__((format(printf, 3, 4)));

}  // namespace emulator
