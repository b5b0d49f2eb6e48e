// A fiber: a stack of its own, and switching to it and back. One CUDA thread runs on one fiber.
#pragma once
#include <cstddef>
#if !defined(__x86_64__) && !defined(EMULATOR_UCONTEXT)
#define EMULATOR_UCONTEXT  // any other processor: slower, but POSIX
#endif
#if defined(EMULATOR_UCONTEXT)
#include <ucontext.h>
#endif

namespace emulator {

constexpr std::size_t STACK = 128 * 1024;  // of a fiber; touched pages only cost memory

struct Registers {  // where to go on
#if defined(EMULATOR_UCONTEXT)
    ucontext_t context;
#else
    void* stack_pointer = nullptr;
#endif
};

class Fiber {
   public:
    // Begin `run`, which must not return, at the top of this fiber's stack. `offset` bytes stay free
    // above: neighbours with different offsets do not share cache sets.
    void prepare(void (*run)(), std::size_t offset);
    void enter();                  // from the scheduler; comes back when the fiber leaves
    void leave(bool for_ever);     // from the fiber, to the scheduler
    static void entered();         // the first thing a fiber does
    bool holds(const void* p) const {
        const auto* byte = static_cast<const char*>(p);
        return byte >= stack_ && byte < stack_ + STACK;
    }

    std::size_t bytes_above(const void* p) const { return static_cast<std::size_t>(top_ - static_cast<const char*>(p)); }

   private:
    Registers registers_;
    char* stack_ = nullptr;  // never given back: the next launch uses it again
    char* top_ = nullptr;    // of the part in use
};

}  // namespace emulator
