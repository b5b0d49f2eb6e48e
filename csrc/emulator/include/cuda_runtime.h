// Stands in for NVIDIA's header of this name: CUDA C++ as plain C++17, on the host.
#pragma once
#if defined(EMULATOR_INSTRUMENTED)  // a kernel under the checker, not the emulator itself
// Copies that a kernel makes by memcpy are accesses too: these names are linked to the checker's
// (runtime/hooks.cpp), which must be said before anybody else declares them.
extern "C" {
void* memcpy(void*, const void*, __SIZE_TYPE__) noexcept __asm__("__tsan_memcpy");
void* memmove(void*, const void*, __SIZE_TYPE__) noexcept __asm__("__tsan_memmove");
void* memset(void*, int, __SIZE_TYPE__) noexcept __asm__("__tsan_memset");
}
#endif
// First all of C and C++ that is used: the words below must not change them.
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>
using std::size_t;

#include "emulator/keywords.h"
//
#include "emulator/atomics.h"
#include "emulator/math.h"
#include "emulator/memory.h"
#include "emulator/runtime.h"
#include "emulator/thread.h"
#include "emulator/vector_types.h"
#include "emulator/warp.h"
#if __has_include("emulator/host.h")
#include "emulator/host.h"
#else
typedef void* cudaStream_t;
#endif
