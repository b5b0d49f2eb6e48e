// The PTX instructions that kernels use, from sm_80 on: asynchronous copies and tensor cores.
//
// Each is ONE small function with two bodies: the instruction, for the GPU, and a call of what the
// emulator takes it to mean (csrc/emulator/runtime/: cp_async.cpp, tensor_cores.cpp). Sections are those of
// the PTX ISA manual, 9.0. tests/gpu/test_ptx_conformance.py compares the two bodies on a GPU.
//
// On an architecture that lacks an instruction its function stops the kernel with an error, instead of
// computing something else; the wrappers in Python decline before.
#pragma once
#include "platform.cuh"

#if defined(__CUDACC__)
#define PTX_AT  // the emulator's findings name the line of the call, which comes along unseen
#define PTX_AT_ONLY
#define PTX_FUNCTION __device__ __forceinline__
#define PTX_SM80 (__CUDA_ARCH__ >= 800)
#define PTX_MISSING() \
    __trap();         \
    __builtin_unreachable()
#else
#define PTX_AT , emulator::Place at = emulator::Place::here()
#define PTX_AT_ONLY emulator::Place at = emulator::Place::here()
#define PTX_FUNCTION inline
#include "emulator/cp_async.h"
namespace emulator {
enum class Number { tf32, f16, bf16 };  // what the 32 bits of a register hold: 1, 2, 2 of them
void ldmatrix(uint32_t* registers, const void* row, int count, bool transposed, Place at);
void mma(float* d, const uint32_t* a, const uint32_t* b, Number number, Place at);
}  // namespace emulator
#endif

namespace ptx {

#if defined(__CUDACC__)
// The 32-bit address inside shared memory, which instructions take (section 5.4.1).
__device__ __forceinline__ uint32_t shared_address(const void* p) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}
#endif

// cp.async (9.7.9.25.3.1): begin to copy BYTES (4, 8 or 16) from global to shared memory; both are
// multiples of BYTES. Only the first `valid` bytes are read, zeros are written for the others. The
// 16-byte copy goes past the L1 cache (.cg), the smaller ones through it (.ca).
template <int BYTES>
PTX_FUNCTION void cp_async(void* shared, const void* global, int valid PTX_AT) {
    static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "cp.async copies 4, 8 or 16 bytes");
#if !defined(__CUDACC__)
    emulator::cp_async(shared, global, BYTES, valid, at);
#elif PTX_SM80
    if constexpr (BYTES == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
                     "l"(global), "r"(valid)
                     : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(shared)),
                     "l"(global), "n"(BYTES), "r"(valid)
                     : "memory");
#else
    PTX_MISSING();
#endif
}

// cp.async.commit_group (9.7.9.25.3.2): this thread's copies since the last one are a group.
PTX_FUNCTION void cp_async_commit() {
#if !defined(__CUDACC__)
    emulator::cp_async_commit();
#elif PTX_SM80
    asm volatile("cp.async.commit_group;" ::: "memory");
#else
    PTX_MISSING();
#endif
}

// cp.async.wait_group (9.7.9.25.3.3): wait until at most PENDING of this thread's latest groups are
// still on their way. What others copied is there after a barrier only.
template <int PENDING>
PTX_FUNCTION void cp_async_wait() {
#if !defined(__CUDACC__)
    emulator::cp_async_wait(PENDING);
#elif PTX_SM80
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
#else
    PTX_MISSING();
#endif
}

// ldmatrix (9.7.14.5.15): a warp loads COUNT (1, 2 or 4) matrices of 8 x 8 numbers of 16 bits. Lane
// 8 i + r gives the address of row r of matrix i, 16 bytes, a multiple of 16. Lane l gets in
// registers[i] the two numbers at row l / 4, columns 2 (l % 4) and the next; TRANSPOSED: rows
// 2 (l % 4) and the next, column l / 4.
template <int COUNT, bool TRANSPOSED = false>
PTX_FUNCTION void ldmatrix(uint32_t (&registers)[COUNT], const void* row PTX_AT) {
    static_assert(COUNT == 1 || COUNT == 2 || COUNT == 4, "ldmatrix loads 1, 2 or 4 matrices");
#if !defined(__CUDACC__)
    emulator::ldmatrix(registers, row, COUNT, TRANSPOSED, at);
#else  // since sm_75
    uint32_t(&r)[COUNT] = registers;
    const uint32_t address = shared_address(row);
    if constexpr (COUNT == 1 && !TRANSPOSED)
        asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(address) : "memory");
    if constexpr (COUNT == 1 && TRANSPOSED)
        asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(address) : "memory");
    if constexpr (COUNT == 2 && !TRANSPOSED)
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                     : "=r"(r[0]), "=r"(r[1]) : "r"(address) : "memory");
    if constexpr (COUNT == 2 && TRANSPOSED)
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                     : "=r"(r[0]), "=r"(r[1]) : "r"(address) : "memory");
    if constexpr (COUNT == 4 && !TRANSPOSED)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
    if constexpr (COUNT == 4 && TRANSPOSED)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
#endif
}

// cvt.rna.tf32.f32 (9.7.9.22): the nearest number with 10 bits of mantissa, ties away from 0. Without
// it mma takes the upper 19 bits of a float as they are, an error twice as large and always downwards.
PTX_FUNCTION uint32_t round_tf32(float x) {
#if !defined(__CUDACC__)
    const uint32_t bits = __float_as_uint(x);
    if ((bits & 0x7f800000u) == 0x7f800000u) return bits;  // infinity, NaN
    return (bits + 0x1000u) & 0xffffe000u;
#elif PTX_SM80
    uint32_t rounded;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(x));
    return rounded;
#else
    PTX_MISSING();
#endif
}

// mma.sync (9.7.14.5): a warp computes D += A B on tensor cores, D (16, 8) float. With
// g = lane / 4 and t = lane % 4 a lane holds, two numbers of 16 bits a register:
//
//   D        d[0, 1] row g,  d[2, 3] row g + 8;  columns 2 t, 2 t + 1
//   16 bits  A (16, 16) a[0] row g, a[1] row g + 8, columns 2 t, 2 t + 1; a[2], a[3] columns + 8
//            B (16, 8)  b[0] rows 2 t, 2 t + 1, b[1] rows + 8;  column g
//   tf32     A (16, 8)  a[0] row g, a[1] row g + 8, column t;  a[2], a[3] column t + 4
//            B (8, 8)   b[0] row t, b[1] row t + 4;  column g
//
// Products are exact; the order and the rounding of the sum are not specified.
PTX_FUNCTION void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2] PTX_AT) {
#if !defined(__CUDACC__)
    emulator::mma(d, a, b, emulator::Number::tf32, at);
#elif PTX_SM80
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    PTX_MISSING();
#endif
}

PTX_FUNCTION void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], __half PTX_AT) {
#if !defined(__CUDACC__)
    emulator::mma(d, a, b, emulator::Number::f16, at);
#elif PTX_SM80
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    PTX_MISSING();
#endif
}

PTX_FUNCTION void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], __nv_bfloat16 PTX_AT) {
#if !defined(__CUDACC__)
    emulator::mma(d, a, b, emulator::Number::bf16, at);
#elif PTX_SM80
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    PTX_MISSING();
#endif
}

}  // namespace ptx
