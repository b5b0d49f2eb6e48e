// What differs between the three compilers that read the kernels, and nothing else:
//
//   nvcc     the extension _cuda, for a GPU
//   NVRTC    cupy.RawModule at first use, for a GPU whose machine has no _cuda
//   g++      the emulator: <cuda_runtime.h> is then the one in csrc/emulator/include
//
// A kernel file includes this, defines kernels, and names at its end those that Python may launch:
//
//   MMB_KERNEL(softmax_rows);                              an ordinary kernel
//   MMB_KERNEL_AS(softmax_rows_f64, softmax_rows<double>); an instance of a template
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#if defined(__CUDACC_RTC__)  // NVRTC knows no host headers; Python reads the names from the source
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
typedef unsigned long long uintptr_t;
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)
#define MMB_KERNEL_AS(name, ...) static_assert(true, "")
#else
#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>

#include "kernel_table.hpp"
#define MMB_KERNEL_AS(name, ...) static const mmb::Listed name##_listed(mmb::entry(#name, __VA_ARGS__))
#endif
#define MMB_KERNEL(kernel) MMB_KERNEL_AS(kernel, kernel)

// Shared memory whose size the launch decides, as an array of T, aligned to 16 bytes (TMA: 1024).
#if defined(__CUDACC__)
#define MMB_DYNAMIC_SHARED(T, name)                               \
    extern __shared__ __align__(1024) unsigned char shared_raw[]; \
    T* name = reinterpret_cast<T*>(shared_raw)
#else
#define MMB_DYNAMIC_SHARED(T, name) T* name = reinterpret_cast<T*>(emulator::dynamic_shared())
#endif

// Writes a pack of 8 or 16 bytes to global memory by one instruction. `*to = pack` says the same, and g++
// does so; nvcc 13.0 takes it apart, number by number, where the address was computed a certain way.
template <class P>
__device__ __forceinline__ void store_whole(P* to, const P& pack) {
    static_assert(sizeof(P) == 8 || sizeof(P) == 16, "a store of 8 or 16 bytes");
#if defined(__CUDACC__)
    if constexpr (sizeof(P) == 16) __stwb(reinterpret_cast<uint4*>(to), *reinterpret_cast<const uint4*>(&pack));
    else __stwb(reinterpret_cast<uint2*>(to), *reinterpret_cast<const uint2*>(&pack));
#else
    *to = pack;
#endif
}
