// __half and __half2: IEEE binary16. Each operation is done in float and rounded once, to nearest
// even; float has more than twice the bits of half, so the result is that of half arithmetic.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "emulator/runtime.h"

namespace emulator {

EMULATOR_INLINE uint32_t bits_of(float f) {
    uint32_t u;
    __builtin_memcpy(&u, &f, sizeof u);
    return u;
}
EMULATOR_INLINE float float_of(uint32_t u) {
    float f;
    __builtin_memcpy(&f, &u, sizeof f);
    return f;
}

// sign 1, exponent 5 (bias 15), fraction 10
EMULATOR_UNCHECKED inline float half_to_float(uint16_t h) {
    const uint32_t sign = (h & 0x8000u) << 16, exponent = h >> 10 & 31, fraction = h & 1023u;
    if (exponent == 31) return float_of(sign | 0x7f800000u | fraction << 13);  // infinity, NaN
    if (exponent == 0) {                                                       // fraction · 2⁻²⁴
        const float f = std::ldexp(static_cast<float>(fraction), -24);
        return sign ? -f : f;
    }
    return float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

enum class Round { nearest, zero, down, up };

template <Round ROUND = Round::nearest>
EMULATOR_UNCHECKED uint16_t half_bits(double d) {
    const float f = static_cast<float>(d);  // only to see NaN and the sign
    const uint16_t sign = std::signbit(d) ? 0x8000u : 0u;
    if (f != f) return 0x7fff;
    const double a = std::fabs(d);
    if (std::isinf(a)) return sign | 0x7c00u;
    int exponent = 0;
    std::frexp(a, &exponent);  // a = m · 2^exponent, 1/2 <= m < 1
    const int unit = exponent - 11 < -24 ? -24 : exponent - 11;
    const double scaled = std::ldexp(a, -unit);  // exact, and below 2048
    const bool away = (ROUND == Round::up && !sign) || (ROUND == Round::down && sign);
    double whole = ROUND == Round::nearest ? std::nearbyint(scaled) : away ? std::ceil(scaled) : std::floor(scaled);
    if (a == 0) whole = 0;
    const double value = std::ldexp(whole, unit);
    if (value > 65504.0) return sign | (ROUND == Round::nearest || away ? 0x7c00u : 0x7bffu);
    if (whole < 1024.0) return static_cast<uint16_t>(sign | static_cast<uint16_t>(whole));  // subnormal: unit is 2⁻²⁴
    // 1024 <= whole <= 2048: a carry into the exponent is what the encoding does by itself
    return static_cast<uint16_t>(sign + ((unit + 25) << 10) + static_cast<int>(whole) - 1024);
}

// x + y; where double cannot hold it, the neighbour whose last bit is 1, so that rounding it once
// more, to fewer bits, is as if the sum itself had been rounded.
EMULATOR_UNCHECKED inline double sum_to_odd(double x, double y) {
    const double sum = x + y, y_in_sum = sum - x;
    const double lost = (x - (sum - y_in_sum)) + (y - y_in_sum);
    uint64_t bits;
    __builtin_memcpy(&bits, &sum, sizeof bits);
    if (lost == 0 || (bits & 1) || !std::isfinite(sum)) return sum;
    return std::nextafter(sum, lost > 0 ? INFINITY : -INFINITY);
}

}  // namespace emulator

struct __half_raw {
    unsigned short x;
};

struct alignas(2) __half {
    uint16_t bits;

    __half() = default;  // trivial, so that shared memory may hold it
    EMULATOR_INLINE __half(__half_raw raw) : bits(raw.x) {}
    EMULATOR_INLINE __half(float f) : bits(emulator::half_bits(f)) {}
    EMULATOR_INLINE __half(double d) : bits(emulator::half_bits(d)) {}
    EMULATOR_INLINE __half(int i) : bits(emulator::half_bits(i)) {}
    EMULATOR_INLINE __half(unsigned i) : bits(emulator::half_bits(i)) {}
    EMULATOR_INLINE __half(short i) : bits(emulator::half_bits(i)) {}
    EMULATOR_INLINE __half(unsigned short i) : bits(emulator::half_bits(i)) {}
    EMULATOR_INLINE __half(long long i) : bits(emulator::half_bits(static_cast<double>(i))) {}
    EMULATOR_INLINE __half(unsigned long long i) : bits(emulator::half_bits(static_cast<double>(i))) {}
    EMULATOR_INLINE operator float() const { return emulator::half_to_float(bits); }
    EMULATOR_INLINE operator __half_raw() const { return {bits}; }
    EMULATOR_INLINE __half& operator=(float f) { return *this = __half(f); }
    EMULATOR_INLINE __half& operator=(double d) { return *this = __half(d); }
    EMULATOR_INLINE __half& operator=(int i) { return *this = __half(i); }
    EMULATOR_INLINE explicit operator bool() const { return (bits & 0x7fff) != 0; }
};
using half = __half;

struct alignas(4) __half2 {
    __half x, y;
    __half2() = default;
    EMULATOR_INLINE constexpr __half2(const __half& x, const __half& y) : x(x), y(y) {}
};
using half2 = __half2;

EMULATOR_INLINE float __half2float(__half h) { return emulator::half_to_float(h.bits); }
EMULATOR_INLINE __half __float2half(float f) { return __half(f); }
EMULATOR_INLINE __half __float2half_rn(float f) { return __half(f); }
EMULATOR_INLINE __half __float2half_rz(float f) { return __half(__half_raw{emulator::half_bits<emulator::Round::zero>(f)}); }
EMULATOR_INLINE __half __float2half_rd(float f) { return __half(__half_raw{emulator::half_bits<emulator::Round::down>(f)}); }
EMULATOR_INLINE __half __float2half_ru(float f) { return __half(__half_raw{emulator::half_bits<emulator::Round::up>(f)}); }
EMULATOR_INLINE __half __double2half(double d) { return __half(d); }
EMULATOR_INLINE __half __int2half_rn(int i) { return __half(i); }
EMULATOR_INLINE __half __uint2half_rn(unsigned i) { return __half(i); }
EMULATOR_INLINE int __half2int_rn(__half h) { return static_cast<int>(std::nearbyint(__half2float(h))); }
EMULATOR_INLINE int __half2int_rz(__half h) { return static_cast<int>(__half2float(h)); }
EMULATOR_INLINE unsigned short __half_as_ushort(__half h) { return h.bits; }
EMULATOR_INLINE short __half_as_short(__half h) { return static_cast<short>(h.bits); }
EMULATOR_INLINE __half __ushort_as_half(unsigned short bits) { return __half(__half_raw{bits}); }
EMULATOR_INLINE __half __short_as_half(short bits) { return __half(__half_raw{static_cast<unsigned short>(bits)}); }

EMULATOR_INLINE __half2 __halves2half2(__half x, __half y) { return {x, y}; }
EMULATOR_INLINE __half2 make_half2(__half x, __half y) { return {x, y}; }
EMULATOR_INLINE __half2 __half2half2(__half x) { return {x, x}; }
EMULATOR_INLINE __half2 __float2half2_rn(float f) { return {__half(f), __half(f)}; }
EMULATOR_INLINE __half2 __floats2half2_rn(float x, float y) { return {__half(x), __half(y)}; }
EMULATOR_INLINE __half2 __float22half2_rn(float2 v) { return {__half(v.x), __half(v.y)}; }
EMULATOR_INLINE float2 __half22float2(__half2 v) { return {__half2float(v.x), __half2float(v.y)}; }
EMULATOR_INLINE __half __low2half(__half2 v) { return v.x; }
EMULATOR_INLINE __half __high2half(__half2 v) { return v.y; }
EMULATOR_INLINE float __low2float(__half2 v) { return __half2float(v.x); }
EMULATOR_INLINE float __high2float(__half2 v) { return __half2float(v.y); }

#define EMULATOR_NUMBER __half
#define EMULATOR_PAIR __half2
#define EMULATOR_FLOAT(v) __half2float(v)
#include "emulator/sixteen_bits.h"
#undef EMULATOR_NUMBER
#undef EMULATOR_PAIR
#undef EMULATOR_FLOAT
