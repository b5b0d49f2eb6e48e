// __nv_bfloat16 and its pair: the upper half of a float, rounded to nearest even.
#pragma once
#include "emulator/half.h"

namespace emulator {

EMULATOR_UNCHECKED inline uint16_t bfloat16_bits(float f) {
    const uint32_t u = bits_of(f);
    if ((u & 0x7fffffffu) > 0x7f800000u) return 0x7fff;  // NaN
    return static_cast<uint16_t>((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}
// From double at one rounding: float first, to odd, so that the second rounding sees what was cut.
EMULATOR_UNCHECKED inline uint16_t bfloat16_bits(double d) {
    float f = static_cast<float>(d);
    if (f == f && static_cast<double>(f) != d && !std::isinf(f)) {
        if (std::fabs(static_cast<double>(f)) > std::fabs(d)) f = std::nextafter(f, 0.0f);
        f = float_of(bits_of(f) | 1u);
    }
    return bfloat16_bits(f);
}

}  // namespace emulator

struct __nv_bfloat16_raw {
    unsigned short x;
};

struct alignas(2) __nv_bfloat16 {
    uint16_t bits;

    __nv_bfloat16() = default;
    EMULATOR_INLINE __nv_bfloat16(__nv_bfloat16_raw raw) : bits(raw.x) {}
    EMULATOR_INLINE __nv_bfloat16(float f) : bits(emulator::bfloat16_bits(f)) {}
    EMULATOR_INLINE __nv_bfloat16(double d) : bits(emulator::bfloat16_bits(d)) {}
    EMULATOR_INLINE __nv_bfloat16(int i) : bits(emulator::bfloat16_bits(static_cast<double>(i))) {}
    EMULATOR_INLINE __nv_bfloat16(unsigned i) : bits(emulator::bfloat16_bits(static_cast<double>(i))) {}
    EMULATOR_INLINE operator float() const { return emulator::float_of(static_cast<uint32_t>(bits) << 16); }
    EMULATOR_INLINE operator __nv_bfloat16_raw() const { return {bits}; }
    EMULATOR_INLINE __nv_bfloat16& operator=(float f) { return *this = __nv_bfloat16(f); }
    EMULATOR_INLINE __nv_bfloat16& operator=(double d) { return *this = __nv_bfloat16(d); }
    EMULATOR_INLINE __nv_bfloat16& operator=(int i) { return *this = __nv_bfloat16(i); }
    EMULATOR_INLINE explicit operator bool() const { return (bits & 0x7fff) != 0; }
};
using nv_bfloat16 = __nv_bfloat16;

struct alignas(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
    __nv_bfloat162() = default;
    EMULATOR_INLINE constexpr __nv_bfloat162(const __nv_bfloat16& x, const __nv_bfloat16& y) : x(x), y(y) {}
};
using nv_bfloat162 = __nv_bfloat162;

EMULATOR_INLINE float __bfloat162float(__nv_bfloat16 b) { return static_cast<float>(b); }
EMULATOR_INLINE __nv_bfloat16 __float2bfloat16(float f) { return __nv_bfloat16(f); }
EMULATOR_INLINE __nv_bfloat16 __float2bfloat16_rn(float f) { return __nv_bfloat16(f); }
EMULATOR_INLINE __nv_bfloat16 __double2bfloat16(double d) { return __nv_bfloat16(d); }
EMULATOR_INLINE __nv_bfloat16 __int2bfloat16_rn(int i) { return __nv_bfloat16(i); }
EMULATOR_INLINE unsigned short __bfloat16_as_ushort(__nv_bfloat16 b) { return b.bits; }
EMULATOR_INLINE __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) { return __nv_bfloat16(__nv_bfloat16_raw{bits}); }

EMULATOR_INLINE __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) { return {x, y}; }
EMULATOR_INLINE __nv_bfloat162 make_bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) { return {x, y}; }
EMULATOR_INLINE __nv_bfloat162 __bfloat162bfloat162(__nv_bfloat16 x) { return {x, x}; }
EMULATOR_INLINE __nv_bfloat162 __float2bfloat162_rn(float f) { return {__nv_bfloat16(f), __nv_bfloat16(f)}; }
EMULATOR_INLINE __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {__nv_bfloat16(x), __nv_bfloat16(y)}; }
EMULATOR_INLINE __nv_bfloat162 __float22bfloat162_rn(float2 v) { return {__nv_bfloat16(v.x), __nv_bfloat16(v.y)}; }
EMULATOR_INLINE float2 __bfloat1622float2(__nv_bfloat162 v) { return {__bfloat162float(v.x), __bfloat162float(v.y)}; }
EMULATOR_INLINE __nv_bfloat16 __low2bfloat16(__nv_bfloat162 v) { return v.x; }
EMULATOR_INLINE __nv_bfloat16 __high2bfloat16(__nv_bfloat162 v) { return v.y; }
EMULATOR_INLINE float __low2float(__nv_bfloat162 v) { return __bfloat162float(v.x); }
EMULATOR_INLINE float __high2float(__nv_bfloat162 v) { return __bfloat162float(v.y); }

#define EMULATOR_NUMBER __nv_bfloat16
#define EMULATOR_PAIR __nv_bfloat162
#define EMULATOR_FLOAT(v) __bfloat162float(v)
#include "emulator/sixteen_bits.h"
#undef EMULATOR_NUMBER
#undef EMULATOR_PAIR
#undef EMULATOR_FLOAT
