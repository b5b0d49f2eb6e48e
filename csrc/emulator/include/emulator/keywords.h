// The words that CUDA adds to C++.
#pragma once

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static  // one block runs at a time: one instance is exactly right
// Each on pages of its own, which host/memory.cpp can close; host.h fills the last one.
#define __managed__ __attribute__((section("mmb_managed"), aligned(4096)))
#define __restrict __restrict__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __inline_hint__
#define __launch_bounds__(...)
#define __maxnreg__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __grid_constant__
#if !defined(__clang__)  // which has it
#define __builtin_assume(condition) ((void)0)
#endif
// A cluster's blocks run at the same time and read each other's shared memory: not emulated.
#define __cluster_dims__(...) \
    static_assert(false, "__cluster_dims__: the emulator runs one block at a time, so there are no clusters");
