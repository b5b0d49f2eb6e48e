// char1 .. double4, dim3 and make_float4(...): sizes and alignments as on the GPU.
#pragma once
#include <cstddef>

// The alignment decides which instruction moves it: float4 at once, float3 in three pieces.
#define EMULATOR_VECTOR(name, scalar, align2, align4)                                                                        \
    struct name##1 {                                                                                                         \
        scalar x;                                                                                                            \
    };                                                                                                                       \
    struct alignas(align2) name##2 {                                                                                         \
        scalar x, y;                                                                                                         \
    };                                                                                                                       \
    struct name##3 {                                                                                                         \
        scalar x, y, z;                                                                                                      \
    };                                                                                                                       \
    struct alignas(align4) name##4 {                                                                                         \
        scalar x, y, z, w;                                                                                                   \
    };                                                                                                                       \
    inline __attribute__((always_inline)) constexpr name##1 make_##name##1(scalar x) { return {x}; }                         \
    inline __attribute__((always_inline)) constexpr name##2 make_##name##2(scalar x, scalar y) { return {x, y}; }            \
    inline __attribute__((always_inline)) constexpr name##3 make_##name##3(scalar x, scalar y, scalar z) { return {x, y, z}; } \
    inline __attribute__((always_inline)) constexpr name##4 make_##name##4(scalar x, scalar y, scalar z, scalar w) {         \
        return {x, y, z, w};                                                                                                 \
    }

EMULATOR_VECTOR(char, signed char, 2, 4)
EMULATOR_VECTOR(uchar, unsigned char, 2, 4)
EMULATOR_VECTOR(short, short, 4, 8)
EMULATOR_VECTOR(ushort, unsigned short, 4, 8)
EMULATOR_VECTOR(int, int, 8, 16)
EMULATOR_VECTOR(uint, unsigned int, 8, 16)
EMULATOR_VECTOR(long, long, 16, 16)
EMULATOR_VECTOR(ulong, unsigned long, 16, 16)
EMULATOR_VECTOR(longlong, long long, 16, 16)
EMULATOR_VECTOR(ulonglong, unsigned long long, 16, 16)
EMULATOR_VECTOR(float, float, 8, 16)
EMULATOR_VECTOR(double, double, 16, 16)
#undef EMULATOR_VECTOR

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
    constexpr operator uint3() const { return {x, y, z}; }
};
