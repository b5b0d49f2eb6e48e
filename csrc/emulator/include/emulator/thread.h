// threadIdx and friends, barriers of the block, fences, and what ends a thread.
#pragma once
#include "emulator/runtime.h"

// Names, not macros: a program may call its own variables so, as in dim3 gridDim(4). `used` is for debuggers.
#define EMULATOR_NAME(name, member) \
    [[maybe_unused]] __attribute__((used)) static constexpr const auto& name = ::emulator::mmb_thread.member
EMULATOR_NAME(threadIdx, thread);
EMULATOR_NAME(blockIdx, block);
EMULATOR_NAME(blockDim, block_size);
EMULATOR_NAME(gridDim, grid_size);
#undef EMULATOR_NAME

constexpr int warpSize = 32;

EMULATOR_INLINE void __syncthreads(emulator::Place at = emulator::Place::here()) {
    emulator::block_barrier(emulator::Reduce::none, 0, at);
}
EMULATOR_INLINE int __syncthreads_or(int predicate, emulator::Place at = emulator::Place::here()) {
    return emulator::block_barrier(emulator::Reduce::any, predicate != 0, at);
}
EMULATOR_INLINE int __syncthreads_and(int predicate, emulator::Place at = emulator::Place::here()) {
    return emulator::block_barrier(emulator::Reduce::all, predicate != 0, at);
}
EMULATOR_INLINE int __syncthreads_count(int predicate, emulator::Place at = emulator::Place::here()) {
    return emulator::block_barrier(emulator::Reduce::count, predicate != 0, at);
}

EMULATOR_INLINE void __threadfence() { emulator::fence(); }
EMULATOR_INLINE void __threadfence_block() { emulator::fence(); }
EMULATOR_INLINE void __threadfence_system() { emulator::fence(); }

// Not time on a GPU: nanoseconds of this machine, growing.
EMULATOR_INLINE long long clock64() { return static_cast<long long>(emulator::clock()); }
EMULATOR_INLINE void __nanosleep(unsigned) { emulator::sleep(); }

[[noreturn]] EMULATOR_INLINE void __trap(emulator::Place at = emulator::Place::here()) {
    emulator::fail("trap", at, "the kernel called __trap()");
}
