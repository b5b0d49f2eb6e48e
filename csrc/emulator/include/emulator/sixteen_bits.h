// Arithmetic of __half and of __nv_bfloat16, which have the same functions: half.h and bfloat16.h
// include this with EMULATOR_NUMBER, EMULATOR_PAIR and EMULATOR_FLOAT(v) defined. No #pragma once.

#define EMULATOR_BINARY(op, name)                                                                                     \
    EMULATOR_INLINE EMULATOR_NUMBER operator op(EMULATOR_NUMBER a, EMULATOR_NUMBER b) {                               \
        return EMULATOR_NUMBER(EMULATOR_FLOAT(a) op EMULATOR_FLOAT(b));                                               \
    }                                                                                                                 \
    EMULATOR_INLINE EMULATOR_NUMBER& operator op##=(EMULATOR_NUMBER& a, EMULATOR_NUMBER b) { return a = a op b; }     \
    EMULATOR_INLINE EMULATOR_PAIR operator op(EMULATOR_PAIR a, EMULATOR_PAIR b) { return {a.x op b.x, a.y op b.y}; }  \
    EMULATOR_INLINE EMULATOR_PAIR& operator op##=(EMULATOR_PAIR& a, EMULATOR_PAIR b) { return a = a op b; }           \
    EMULATOR_INLINE EMULATOR_NUMBER name(EMULATOR_NUMBER a, EMULATOR_NUMBER b) { return a op b; }                     \
    EMULATOR_INLINE EMULATOR_PAIR name##2(EMULATOR_PAIR a, EMULATOR_PAIR b) { return a op b; }
EMULATOR_BINARY(+, __hadd)
EMULATOR_BINARY(-, __hsub)
EMULATOR_BINARY(*, __hmul)
EMULATOR_BINARY(/, __hdiv)
#undef EMULATOR_BINARY
EMULATOR_INLINE EMULATOR_PAIR __h2div(EMULATOR_PAIR a, EMULATOR_PAIR b) { return a / b; }

#define EMULATOR_COMPARE(op, name)                                                                                       \
    EMULATOR_INLINE bool operator op(EMULATOR_NUMBER a, EMULATOR_NUMBER b) { return EMULATOR_FLOAT(a) op EMULATOR_FLOAT(b); } \
    EMULATOR_INLINE bool name(EMULATOR_NUMBER a, EMULATOR_NUMBER b) { return a op b; }
EMULATOR_COMPARE(==, __heq)
EMULATOR_COMPARE(!=, __hne)
EMULATOR_COMPARE(<, __hlt)
EMULATOR_COMPARE(<=, __hle)
EMULATOR_COMPARE(>, __hgt)
EMULATOR_COMPARE(>=, __hge)
#undef EMULATOR_COMPARE

EMULATOR_INLINE EMULATOR_NUMBER operator+(EMULATOR_NUMBER a) { return a; }
EMULATOR_INLINE EMULATOR_NUMBER operator-(EMULATOR_NUMBER a) {
    a.bits ^= 0x8000u;
    return a;
}
EMULATOR_INLINE EMULATOR_PAIR operator-(EMULATOR_PAIR a) { return {-a.x, -a.y}; }
EMULATOR_INLINE EMULATOR_NUMBER __hneg(EMULATOR_NUMBER a) { return -a; }
EMULATOR_INLINE EMULATOR_PAIR __hneg2(EMULATOR_PAIR a) { return -a; }
EMULATOR_INLINE EMULATOR_NUMBER __habs(EMULATOR_NUMBER a) {
    a.bits &= 0x7fffu;
    return a;
}
EMULATOR_INLINE EMULATOR_PAIR __habs2(EMULATOR_PAIR a) { return {__habs(a.x), __habs(a.y)}; }
EMULATOR_INLINE bool __hisnan(EMULATOR_NUMBER a) { return EMULATOR_FLOAT(a) != EMULATOR_FLOAT(a); }
EMULATOR_INLINE int __hisinf(EMULATOR_NUMBER a) { return std::isinf(EMULATOR_FLOAT(a)) ? (EMULATOR_FLOAT(a) > 0 ? 1 : -1) : 0; }

// a · b + c rounded once: the product of two is exact in double.
EMULATOR_INLINE EMULATOR_NUMBER __hfma(EMULATOR_NUMBER a, EMULATOR_NUMBER b, EMULATOR_NUMBER c) {
    const double product = static_cast<double>(EMULATOR_FLOAT(a)) * EMULATOR_FLOAT(b);
    return EMULATOR_NUMBER(emulator::sum_to_odd(product, EMULATOR_FLOAT(c)));
}
EMULATOR_INLINE EMULATOR_PAIR __hfma2(EMULATOR_PAIR a, EMULATOR_PAIR b, EMULATOR_PAIR c) {
    return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)};
}
// The number, if the other is NaN, as fmaxf.
EMULATOR_INLINE EMULATOR_NUMBER __hmax(EMULATOR_NUMBER a, EMULATOR_NUMBER b) { return EMULATOR_NUMBER(std::fmax(EMULATOR_FLOAT(a), EMULATOR_FLOAT(b))); }
EMULATOR_INLINE EMULATOR_NUMBER __hmin(EMULATOR_NUMBER a, EMULATOR_NUMBER b) { return EMULATOR_NUMBER(std::fmin(EMULATOR_FLOAT(a), EMULATOR_FLOAT(b))); }
EMULATOR_INLINE EMULATOR_PAIR __hmax2(EMULATOR_PAIR a, EMULATOR_PAIR b) { return {__hmax(a.x, b.x), __hmax(a.y, b.y)}; }
EMULATOR_INLINE EMULATOR_PAIR __hmin2(EMULATOR_PAIR a, EMULATOR_PAIR b) { return {__hmin(a.x, b.x), __hmin(a.y, b.y)}; }

#define EMULATOR_FUNCTION(name, function)                                                                              \
    EMULATOR_INLINE EMULATOR_NUMBER h##name(EMULATOR_NUMBER a) { return EMULATOR_NUMBER(function(EMULATOR_FLOAT(a))); } \
    EMULATOR_INLINE EMULATOR_PAIR h2##name(EMULATOR_PAIR a) { return {h##name(a.x), h##name(a.y)}; }
EMULATOR_FUNCTION(exp, std::exp)
EMULATOR_FUNCTION(exp2, std::exp2)
EMULATOR_FUNCTION(log, std::log)
EMULATOR_FUNCTION(log2, std::log2)
EMULATOR_FUNCTION(log10, std::log10)
EMULATOR_FUNCTION(sqrt, std::sqrt)
EMULATOR_FUNCTION(rsqrt, 1.0f / std::sqrt)
EMULATOR_FUNCTION(rcp, 1.0f /)
EMULATOR_FUNCTION(sin, std::sin)
EMULATOR_FUNCTION(cos, std::cos)
EMULATOR_FUNCTION(tanh, std::tanh)
EMULATOR_FUNCTION(floor, std::floor)
EMULATOR_FUNCTION(ceil, std::ceil)
EMULATOR_FUNCTION(trunc, std::trunc)
EMULATOR_FUNCTION(rint, std::nearbyint)
#undef EMULATOR_FUNCTION
