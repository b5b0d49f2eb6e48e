// CUDA's mathematics on the host: the same functions at full accuracy. The fast ones (__expf, __sinf)
// are less accurate on a GPU, so tolerances must come from a bound, not from results seen here.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "emulator/runtime.h"
#include "emulator/vector_types.h"

#ifndef CUDART_INF_F
#define CUDART_INF_F INFINITY
#define CUDART_NAN_F NAN
#define CUDART_INF ((double)INFINITY)
#define CUDART_PI_F 3.141592654f
#define CUDART_PI 3.1415926535897931e+0
#endif

// ---- the bits of a number

template <class To, class From>
EMULATOR_INLINE To emulator_same_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "of the same size");
    To to;
    __builtin_memcpy(&to, &from, sizeof to);
    return to;
}
EMULATOR_INLINE int __float_as_int(float f) { return emulator_same_bits<int>(f); }
EMULATOR_INLINE float __int_as_float(int i) { return emulator_same_bits<float>(i); }
EMULATOR_INLINE unsigned __float_as_uint(float f) { return emulator_same_bits<unsigned>(f); }
EMULATOR_INLINE float __uint_as_float(unsigned u) { return emulator_same_bits<float>(u); }
EMULATOR_INLINE long long __double_as_longlong(double d) { return emulator_same_bits<long long>(d); }
EMULATOR_INLINE double __longlong_as_double(long long i) { return emulator_same_bits<double>(i); }
EMULATOR_INLINE int __double2loint(double d) { return static_cast<int>(__double_as_longlong(d)); }
EMULATOR_INLINE int __double2hiint(double d) { return static_cast<int>(__double_as_longlong(d) >> 32); }
EMULATOR_INLINE double __hiloint2double(int high, int low) {
    return __longlong_as_double(static_cast<long long>(static_cast<unsigned long long>(static_cast<unsigned>(high)) << 32 | static_cast<unsigned>(low)));
}

// ---- min, max, abs: functions and no templates, so that they win over std::min

#define EMULATOR_MIN_MAX(result, a_type, b_type)                                                                 \
    EMULATOR_INLINE result min(a_type a, b_type b) {                                                             \
        return static_cast<result>(b) < static_cast<result>(a) ? static_cast<result>(b) : static_cast<result>(a); \
    }                                                                                                            \
    EMULATOR_INLINE result max(a_type a, b_type b) {                                                             \
        return static_cast<result>(b) > static_cast<result>(a) ? static_cast<result>(b) : static_cast<result>(a); \
    }
EMULATOR_MIN_MAX(int, int, int)
EMULATOR_MIN_MAX(unsigned, unsigned, unsigned)
EMULATOR_MIN_MAX(unsigned, int, unsigned)
EMULATOR_MIN_MAX(unsigned, unsigned, int)
EMULATOR_MIN_MAX(long, long, long)
EMULATOR_MIN_MAX(unsigned long, unsigned long, unsigned long)
EMULATOR_MIN_MAX(unsigned long, long, unsigned long)
EMULATOR_MIN_MAX(unsigned long, unsigned long, long)
EMULATOR_MIN_MAX(long long, long long, long long)
EMULATOR_MIN_MAX(unsigned long long, unsigned long long, unsigned long long)
EMULATOR_MIN_MAX(unsigned long long, long long, unsigned long long)
EMULATOR_MIN_MAX(unsigned long long, unsigned long long, long long)
#undef EMULATOR_MIN_MAX
// Of floating-point numbers they are fmin and fmax: NaN loses.
EMULATOR_INLINE float min(float a, float b) { return std::fmin(a, b); }
EMULATOR_INLINE float max(float a, float b) { return std::fmax(a, b); }
EMULATOR_INLINE double min(double a, double b) { return std::fmin(a, b); }
EMULATOR_INLINE double max(double a, double b) { return std::fmax(a, b); }
EMULATOR_INLINE double min(float a, double b) { return std::fmin(static_cast<double>(a), b); }
EMULATOR_INLINE double max(float a, double b) { return std::fmax(static_cast<double>(a), b); }
EMULATOR_INLINE double min(double a, float b) { return std::fmin(a, static_cast<double>(b)); }
EMULATOR_INLINE double max(double a, float b) { return std::fmax(a, static_cast<double>(b)); }

EMULATOR_INLINE unsigned umin(unsigned a, unsigned b) { return min(a, b); }
EMULATOR_INLINE unsigned umax(unsigned a, unsigned b) { return max(a, b); }

// ---- functions that C lacks

#define EMULATOR_BOTH(name, expression)                                                      \
    EMULATOR_INLINE float name##f(float x) { return static_cast<float>(expression); }        \
    EMULATOR_INLINE double name(double x) { return static_cast<double>(expression); }
EMULATOR_BOTH(rsqrt, 1 / std::sqrt(x))
EMULATOR_BOTH(rcbrt, 1 / std::cbrt(x))
EMULATOR_BOTH(sinpi, std::sin(CUDART_PI * std::remainder(static_cast<double>(x), 2.0)))
EMULATOR_BOTH(cospi, std::cos(CUDART_PI * std::remainder(static_cast<double>(x), 2.0)))
EMULATOR_BOTH(normcdf, 0.5 * std::erfc(-static_cast<double>(x) * 0.70710678118654752440))
EMULATOR_BOTH(erfcx, std::exp(static_cast<double>(x) * x) * std::erfc(static_cast<double>(x)))
#if !defined(__USE_GNU)
EMULATOR_BOTH(exp10, std::pow(10.0, static_cast<double>(x)))
#endif
#undef EMULATOR_BOTH
// A formula good to 2 in 1000 (S. Winitzki), then four steps of Newton's method on erf.
EMULATOR_UNCHECKED inline double erfinv(double y) {
    if (!(y > -1 && y < 1)) return y == 1 ? INFINITY : y == -1 ? -INFINITY : NAN;
    const double w = std::log1p(-y * y), u = 2 / (CUDART_PI * 0.147) + w / 2;
    double x = std::copysign(std::sqrt(std::sqrt(u * u - w / 0.147) - u), y);
    for (int i = 0; i < 4; ++i) x -= (std::erf(x) - y) / (1.12837916709551257390 * std::exp(-x * x));
    return x;
}
EMULATOR_INLINE float erfinvf(float y) { return static_cast<float>(erfinv(static_cast<double>(y))); }
EMULATOR_INLINE double normcdfinv(double p) { return 1.41421356237309504880 * erfinv(2 * p - 1); }
EMULATOR_INLINE float normcdfinvf(float p) { return static_cast<float>(normcdfinv(static_cast<double>(p))); }
EMULATOR_INLINE void sincospif(float x, float* s, float* c) { *s = sinpif(x), *c = cospif(x); }
EMULATOR_INLINE void sincospi(double x, double* s, double* c) { *s = sinpi(x), *c = cospi(x); }
EMULATOR_INLINE float norm3df(float a, float b, float c) { return std::hypot(a, b, c); }
EMULATOR_INLINE double norm3d(double a, double b, double c) { return std::hypot(a, b, c); }
EMULATOR_INLINE float rnorm3df(float a, float b, float c) { return 1 / std::hypot(a, b, c); }
EMULATOR_INLINE float rhypotf(float a, float b) { return 1 / std::hypot(a, b); }
EMULATOR_INLINE float fdividef(float a, float b) { return a / b; }

// ---- fast intrinsics

EMULATOR_INLINE float __expf(float x) { return std::exp(x); }
EMULATOR_INLINE float __exp10f(float x) { return std::pow(10.0f, x); }
EMULATOR_INLINE float __logf(float x) { return std::log(x); }
EMULATOR_INLINE float __log2f(float x) { return std::log2(x); }
EMULATOR_INLINE float __log10f(float x) { return std::log10(x); }
EMULATOR_INLINE float __sinf(float x) { return std::sin(x); }
EMULATOR_INLINE float __cosf(float x) { return std::cos(x); }
EMULATOR_INLINE float __tanf(float x) { return std::tan(x); }
EMULATOR_INLINE float __tanhf(float x) { return std::tanh(x); }
EMULATOR_INLINE void __sincosf(float x, float* s, float* c) { *s = std::sin(x), *c = std::cos(x); }
EMULATOR_INLINE float __powf(float x, float y) { return std::pow(x, y); }
EMULATOR_INLINE float __fdividef(float a, float b) { return a / b; }
EMULATOR_INLINE float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }  // NaN becomes 0

// ---- with the rounding in the name; to nearest only: other roundings do not compile

#define EMULATOR_ROUNDED(letter, scalar)                                                                                  \
    EMULATOR_INLINE scalar __##letter##add_rn(scalar a, scalar b) { return a + b; }                                       \
    EMULATOR_INLINE scalar __##letter##sub_rn(scalar a, scalar b) { return a - b; }                                       \
    EMULATOR_INLINE scalar __##letter##mul_rn(scalar a, scalar b) { return a * b; }                                       \
    EMULATOR_INLINE scalar __##letter##div_rn(scalar a, scalar b) { return a / b; }                                       \
    EMULATOR_INLINE scalar __##letter##rcp_rn(scalar a) { return 1 / a; }                                                 \
    EMULATOR_INLINE scalar __##letter##sqrt_rn(scalar a) { return std::sqrt(a); }
EMULATOR_ROUNDED(f, float)
EMULATOR_ROUNDED(d, double)
#undef EMULATOR_ROUNDED
EMULATOR_INLINE float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
EMULATOR_INLINE double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
EMULATOR_INLINE float __frsqrt_rn(float a) { return static_cast<float>(1 / std::sqrt(static_cast<double>(a))); }

// ---- conversions: they saturate, and NaN becomes 0 (PTX cvt; to 64 bits it becomes 2⁶³)

namespace emulator {
template <class To, class From>
EMULATOR_UNCHECKED To saturated(From whole) {
    using Limits = std::numeric_limits<To>;
    if (whole != whole) return sizeof(To) == 8 ? static_cast<To>(uint64_t{1} << 63) : To(0);
    if (whole >= std::ldexp(From(1), Limits::digits)) return Limits::max();
    if (whole <= static_cast<From>(Limits::min())) return Limits::min();
    return static_cast<To>(whole);
}
}  // namespace emulator
#define EMULATOR_TO_INTEGER(from, from_name, to, to_name)                                                                   \
    EMULATOR_INLINE to __##from_name##2##to_name##_rn(from x) { return emulator::saturated<to>(std::nearbyint(x)); }        \
    EMULATOR_INLINE to __##from_name##2##to_name##_rz(from x) { return emulator::saturated<to>(std::trunc(x)); }            \
    EMULATOR_INLINE to __##from_name##2##to_name##_rd(from x) { return emulator::saturated<to>(std::floor(x)); }            \
    EMULATOR_INLINE to __##from_name##2##to_name##_ru(from x) { return emulator::saturated<to>(std::ceil(x)); }
EMULATOR_TO_INTEGER(float, float, int, int)
EMULATOR_TO_INTEGER(float, float, unsigned, uint)
EMULATOR_TO_INTEGER(float, float, long long, ll)
EMULATOR_TO_INTEGER(float, float, unsigned long long, ull)
EMULATOR_TO_INTEGER(double, double, int, int)
EMULATOR_TO_INTEGER(double, double, unsigned, uint)
EMULATOR_TO_INTEGER(double, double, long long, ll)
EMULATOR_TO_INTEGER(double, double, unsigned long long, ull)
#undef EMULATOR_TO_INTEGER
EMULATOR_INLINE float __int2float_rn(int i) { return static_cast<float>(i); }
EMULATOR_INLINE float __uint2float_rn(unsigned i) { return static_cast<float>(i); }
EMULATOR_INLINE float __ll2float_rn(long long i) { return static_cast<float>(i); }
EMULATOR_INLINE float __ull2float_rn(unsigned long long i) { return static_cast<float>(i); }
EMULATOR_INLINE double __int2double_rn(int i) { return i; }
EMULATOR_INLINE double __uint2double_rn(unsigned i) { return i; }
EMULATOR_INLINE double __ll2double_rn(long long i) { return static_cast<double>(i); }
EMULATOR_INLINE double __ull2double_rn(unsigned long long i) { return static_cast<double>(i); }
EMULATOR_INLINE float __double2float_rn(double d) { return static_cast<float>(d); }

// ---- integers

EMULATOR_INLINE int __popc(unsigned x) { return __builtin_popcount(x); }
EMULATOR_INLINE int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
EMULATOR_INLINE int __ffs(int x) { return __builtin_ffs(x); }
EMULATOR_INLINE int __ffsll(long long x) { return __builtin_ffsll(x); }
EMULATOR_INLINE int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
EMULATOR_INLINE int __clzll(long long x) { return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64; }
EMULATOR_INLINE unsigned __brev(unsigned x) {
    x = x >> 16 | x << 16;
    x = (x >> 8 & 0x00ff00ffu) | (x & 0x00ff00ffu) << 8;
    x = (x >> 4 & 0x0f0f0f0fu) | (x & 0x0f0f0f0fu) << 4;
    x = (x >> 2 & 0x33333333u) | (x & 0x33333333u) << 2;
    return (x >> 1 & 0x55555555u) | (x & 0x55555555u) << 1;
}
EMULATOR_INLINE unsigned long long __brevll(unsigned long long x) {
    return static_cast<unsigned long long>(__brev(static_cast<unsigned>(x))) << 32 | __brev(static_cast<unsigned>(x >> 32));
}
// Byte i of the result is byte (selector's i-th digit & 7) of y:x; with digit 8..15 its sign, 8 times.
EMULATOR_INLINE unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
    const unsigned long long bytes = static_cast<unsigned long long>(y) << 32 | x;
    unsigned result = 0;
    for (int i = 0; i < 4; ++i) {
        const unsigned digit = selector >> 4 * i & 15;
        unsigned byte = static_cast<unsigned>(bytes >> 8 * (digit & 7)) & 255;
        if (digit & 8) byte = byte & 128 ? 255 : 0;
        result |= byte << 8 * i;
    }
    return result;
}
EMULATOR_INLINE int __mul24(int a, int b) {  // of the low 24 bits of each, the low 32 bits
    const auto low = [](int v) { return static_cast<long long>(static_cast<int>(static_cast<unsigned>(v) << 8) >> 8); };
    return static_cast<int>(low(a) * low(b));
}
EMULATOR_INLINE unsigned __umul24(unsigned a, unsigned b) { return (a & 0xffffffu) * (b & 0xffffffu); }
EMULATOR_INLINE int __mulhi(int a, int b) { return static_cast<int>((static_cast<long long>(a) * b) >> 32); }
EMULATOR_INLINE unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((static_cast<unsigned long long>(a) * b) >> 32); }
EMULATOR_INLINE long long __mul64hi(long long a, long long b) { return static_cast<long long>((static_cast<__int128>(a) * b) >> 64); }
EMULATOR_INLINE unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return static_cast<unsigned long long>((static_cast<unsigned __int128>(a) * b) >> 64);
}
EMULATOR_INLINE unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) {
    return static_cast<unsigned>(((static_cast<unsigned long long>(high) << 32 | low) << (by & 31)) >> 32);
}
EMULATOR_INLINE unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) {
    return static_cast<unsigned>((static_cast<unsigned long long>(high) << 32 | low) >> (by & 31));
}
EMULATOR_INLINE unsigned __funnelshift_lc(unsigned low, unsigned high, unsigned by) { return by >= 32 ? low : __funnelshift_l(low, high, by); }
EMULATOR_INLINE unsigned __funnelshift_rc(unsigned low, unsigned high, unsigned by) { return by >= 32 ? high : __funnelshift_r(low, high, by); }
EMULATOR_INLINE int __hadd(int a, int b) { return static_cast<int>((static_cast<long long>(a) + b) >> 1); }
EMULATOR_INLINE int __rhadd(int a, int b) { return static_cast<int>((static_cast<long long>(a) + b + 1) >> 1); }
EMULATOR_INLINE unsigned __sad(int a, int b, unsigned c) {
    const long long difference = static_cast<long long>(a) - b;
    return static_cast<unsigned>(difference < 0 ? -difference : difference) + c;
}
EMULATOR_INLINE unsigned __usad(unsigned a, unsigned b, unsigned c) { return (a > b ? a - b : b - a) + c; }
// Four products of bytes, and c.
EMULATOR_INLINE int __dp4a(int a, int b, int c) {
    for (int i = 0; i < 4; ++i) c += static_cast<signed char>(a >> 8 * i) * static_cast<signed char>(b >> 8 * i);
    return c;
}
EMULATOR_INLINE unsigned __dp4a(unsigned a, unsigned b, unsigned c) {
    for (int i = 0; i < 4; ++i) c += (a >> 8 * i & 255) * (b >> 8 * i & 255);
    return c;
}

// Two halves or four bytes of an int, each for itself: __vadd4, __vmaxs2 and the like.
namespace emulator {
template <class Part, class F>
EMULATOR_INLINE unsigned each_part(unsigned a, unsigned b, F f) {
    constexpr int BITS = 8 * sizeof(Part);
    unsigned result = 0;
    for (int i = 0; i < 32; i += BITS) {
        const auto part = f(static_cast<Part>(a >> i), static_cast<Part>(b >> i));
        result |= (static_cast<unsigned>(part) & ((1u << BITS) - 1)) << i;
    }
    return result;
}
}  // namespace emulator
#define EMULATOR_PARTS(name, s2, s4, expression)                                                                    \
    EMULATOR_INLINE unsigned name##2(unsigned x, unsigned y) {                                                      \
        return emulator::each_part<s2>(x, y, [](int a, int b) { return expression; });                              \
    }                                                                                                               \
    EMULATOR_INLINE unsigned name##4(unsigned x, unsigned y) {                                                      \
        return emulator::each_part<s4>(x, y, [](int a, int b) { return expression; });                              \
    }
EMULATOR_PARTS(__vadd, unsigned short, unsigned char, a + b)
EMULATOR_PARTS(__vsub, unsigned short, unsigned char, a - b)
EMULATOR_PARTS(__vmaxs, short, signed char, a > b ? a : b)
EMULATOR_PARTS(__vmaxu, unsigned short, unsigned char, a > b ? a : b)
EMULATOR_PARTS(__vmins, short, signed char, a < b ? a : b)
EMULATOR_PARTS(__vminu, unsigned short, unsigned char, a < b ? a : b)
EMULATOR_PARTS(__vabsdiffu, unsigned short, unsigned char, a > b ? a - b : b - a)
EMULATOR_PARTS(__vavgu, unsigned short, unsigned char, (a + b + 1) >> 1)
EMULATOR_PARTS(__vcmpeq, unsigned short, unsigned char, a == b ? -1 : 0)
#undef EMULATOR_PARTS
