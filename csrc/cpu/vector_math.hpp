// exp, expm1, log, log1p, tanh, sigmoid and erf of whole vectors, of float and of double.
//
// Right for ±∞, NaN, zeros of both signs, subnormal numbers and whatever overflows. Largest errors,
// measured over the whole range (tests/cpu/test_vector_math.py has the bounds):
//
//   ulp       exp  expm1  log  log1p  tanh  sigmoid  erf
//   float     1.0   1.5   0.8   1.5   2.3     2.4    1.0
//   double    1.0   1.4   0.7   1.5   2.3     2.0    3.0
//
// Sources: exp is the polynomial of SLEEF (Shibata and Petrogalli, 2020), log that of FreeBSD's msun
// (Sun Microsystems, 1993), erf of double Cody's rational functions (1969, as in ops/exponential.py),
// erf of float N. Juffa's minimax polynomials (2018). The rest follows from these.
#pragma once
#include <cmath>
#include <limits>

#include "simd.hpp"

namespace mmb {

template <class T>
struct Layout;  // of the bits of a number: sign, exponent, fraction
template <>
struct Layout<float> {
    using Bits = std::int32_t;
    using Word = std::uint32_t;
    static constexpr int fraction = 23, bias = 127;
};
template <>
struct Layout<double> {
    using Bits = std::int64_t;
    using Word = std::uint64_t;
    static constexpr int fraction = 52, bias = 1023;
};
template <class T>
using Bits = typename VectorOf<typename Layout<T>::Bits>::type;
template <class T>
using Words = typename VectorOf<typename Layout<T>::Word>::type;

template <class To, class From>
inline To same_bits(const From& v) {
    static_assert(sizeof(To) == sizeof(From), "vectors of one size");
    To w;
    std::memcpy(&w, &v, sizeof w);
    return w;
}

template <class T>
inline Bits<T> sign_of(const Vec<T>& x) {
    return same_bits<Bits<T>>(x) & same_bits<Bits<T>>(splat<T>(T(-0.0)));
}
template <class T>
inline Vec<T> abs(const Vec<T>& x) {
    return same_bits<Vec<T>>(same_bits<Bits<T>>(x) & ~same_bits<Bits<T>>(splat<T>(T(-0.0))));
}
template <class T>
inline Vec<T> with_sign_of(const Vec<T>& size, const Vec<T>& x) {
    return same_bits<Vec<T>>(same_bits<Bits<T>>(abs<T>(size)) | sign_of<T>(x));
}

// a₀ + a₁ x + a₂ x² + ..., by Horner's rule
template <class T, std::size_t N>
inline Vec<T> polynomial(const Vec<T>& x, const T (&a)[N]) {
    Vec<T> y = splat(a[N - 1]);
    for (std::size_t i = N - 1; i-- > 0;) y = y * x + a[i];
    return y;
}

template <class T>
inline Vec<T> power_of_two(const Bits<T>& k) {  // 2ᵏ for -bias < k ≤ bias + 1, the last one being ∞
    return same_bits<Vec<T>>(same_bits<Words<T>>(k + Layout<T>::bias) << Layout<T>::fraction);
}

// p · 2ᵏ, rounded once: down to subnormal numbers, up to ∞
template <class T>
inline Vec<T> times_power_of_two(const Vec<T>& p, const Vec<T>& n, const Bits<T>& k) {
#if defined(__AVX512F__)
    (void)k;
    if constexpr (sizeof(T) == 4) return _mm512_scalef_ps(p, n);
    if constexpr (sizeof(T) == 8) return _mm512_scalef_pd(p, n);
#endif
    (void)n;
    const Bits<T> half = k >> 1;  // 2ᵏ itself may not be a normal number
    return p * power_of_two<T>(half) * power_of_two<T>(k - half);
}

// x = n ln 2 + r with |r| ≤ ½ ln 2. ln 2 in two parts, of which n times the first is exact.
template <class T>
struct Reduced {
    Vec<T> n, r;
    Bits<T> k;  // n as a whole number
};
template <class T>
inline Reduced<T> reduced(const Vec<T>& x) {
    constexpr bool wide = sizeof(T) == 8;
    constexpr T high = wide ? .69314718055966295651160180568695068359375 : 0.693145751953125;
    constexpr T low = wide ? .28235290563031577122588448175013436025525412068e-12 : 1.428606765330187045e-06;
    constexpr T inverse = 1.4426950408889634073599246810018921;  // 1 / ln 2
    const Vec<T> round = splat(T(1.5) * T(typename Layout<T>::Bits(1) << Layout<T>::fraction));
    const Vec<T> shifted = x * inverse + round;  // adding this rounds to a whole number, in the last bits
    const Vec<T> n = shifted - round;
    const Bits<T> k = same_bits<Bits<T>>(shifted) - same_bits<Bits<T>>(round);
    return {n, x - n * high - n * low, k};
}

// (eʳ - 1 - r) / r² for |r| ≤ ½ ln 2
template <class T>
inline Vec<T> exp_beyond_first(const Vec<T>& r) {
    if constexpr (sizeof(T) == 4)
        return polynomial<T>(r, {T(0.5), 0.166666671633720397949219f, 0.0416664853692054748535156f,
                                 0.00833336077630519866943359f, 0.00139304355252534151077271f,
                                 0.000198527617612853646278381f});
    else
        return polynomial<T>(r, {T(0.5), 0.166666666666666851703837, 0.0416666666666665047591422,
                                 0.00833333333331652721664984, 0.00138888888889774492207962,
                                 0.000198412698960509205564975, 2.4801587159235472998791e-05,
                                 2.75572362911928827629423e-06, 2.75573911234900471893338e-07,
                                 2.51112930892876518610661e-08, 2.08860621107283687536341e-09});
}

template <class T>
inline Vec<T> exp(const Vec<T>& x) {
    constexpr T top = sizeof(T) == 4 ? 89 : 710, bottom = sizeof(T) == 4 ? -104 : -746;  // ∞, 0
    const Reduced<T> d = reduced<T>(larger<T>(splat(bottom), smaller<T>(splat(top), x)));  // NaN stays
    const Vec<T> p = d.r * d.r * exp_beyond_first<T>(d.r) + d.r + 1;
    return times_power_of_two<T>(p, d.n, d.k);
}

// eˣ - 1 = 2ᵏ (eʳ - 1) + (2ᵏ - 1)
template <class T>
inline Vec<T> expm1(const Vec<T>& x) {
    constexpr T top = sizeof(T) == 4 ? 89 : 710, bottom = sizeof(T) == 4 ? -20 : -40;  // ∞, -1
    const Vec<T> inside = larger<T>(splat(bottom), smaller<T>(splat(top), x));
    const Reduced<T> d = reduced<T>(inside);
    const Vec<T> p = d.r * d.r * exp_beyond_first<T>(d.r) + d.r;
    const Vec<T> half = power_of_two<T>(d.k - 1);  // 2ᵏ may be ∞ where p · 2ᵏ is not
    const Vec<T> y = 2 * (p * half + (half - T(0.5)));
    constexpr T tiny = std::numeric_limits<T>::epsilon() / 4;  // half of it may be no number any more
    return abs<T>(x) < tiny ? x : y;
}

// ln x = k ln 2 + ln(1 + f), with √½ ≤ 1 + f < √2 and s = f / (2 + f):
// ln(1 + f) = 2 s + ⅔ s³ + ... = f - s (f - R), where R comes from even powers of s
template <class T>
inline Vec<T> log(const Vec<T>& x) {
    using L = Layout<T>;
    constexpr bool wide = sizeof(T) == 8;
    constexpr T smallest = std::numeric_limits<T>::min(), infinity = std::numeric_limits<T>::infinity();
    constexpr typename L::Bits up = wide ? 54 : 25;
    const Bits<T> one = same_bits<Bits<T>>(splat(T(1)));
    const Bits<T> root = same_bits<Bits<T>>(splat(T(0.70710678118654752440)));
    const auto subnormal = x < smallest;
    const Vec<T> normal = subnormal ? x * T(typename L::Bits(1) << up) : x;
    const Bits<T> from_root = same_bits<Bits<T>>(normal) - root + one;
    const Bits<T> k = (from_root >> L::fraction) - L::bias - (subnormal & up);
    const Bits<T> fraction = from_root & ((typename L::Bits(1) << L::fraction) - 1);
    const Vec<T> f = same_bits<Vec<T>>(fraction + root) - 1, n = __builtin_convertvector(k, Vec<T>);
    const Vec<T> s = f / (2 + f), z = s * s;
    Vec<T> R;
    if constexpr (wide)
        R = z * polynomial<T>(z, {6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
                                  2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
                                  1.479819860511658591e-01});
    else
        R = z * polynomial<T>(z, {T(0xaaaaaa.0p-24), T(0xccce13.0p-25), T(0x91e9ee.0p-25), T(0xf89e26.0p-26)});
    constexpr T high = wide ? 6.93147180369123816490e-01 : 6.9313812256e-01;  // n times this is exact
    constexpr T low = wide ? 1.90821492927058770002e-10 : 9.0580006145e-06;
    const Vec<T> square = T(0.5) * f * f;
    Vec<T> y = s * (square + R) + n * low - square + f + n * high;
    y = x < infinity ? y : x;  // ∞ and NaN are their own logarithms
    y = x < 0 ? splat(std::numeric_limits<T>::quiet_NaN()) : y;
    return x == 0 ? splat(-infinity) : y;
}

// ln(1 + x): the logarithm of the rounded sum, and what rounding has taken away. (Kahan)
template <class T>
inline Vec<T> log1p(const Vec<T>& x) {
    const Vec<T> sum = 1 + x, y = log<T>(sum) + (x - (sum - 1)) / sum;
    return x < std::numeric_limits<T>::infinity() && sum > 0 && x != 0 ? y : x == 0 ? x : log<T>(sum);
}

// tanh |x| = t / (t + 2) with t = e^(2|x|) - 1
template <class T>
inline Vec<T> tanh(const Vec<T>& x) {
    constexpr T top = sizeof(T) == 4 ? 10 : 20;  // from there on it rounds to 1
    const Vec<T> size = abs<T>(x), inside = size > top ? splat(top) : size;
    const Vec<T> t = expm1<T>(2 * inside);
    return with_sign_of<T>(t / (t + 2), x);
}

template <class T>
inline Vec<T> sigmoid(const Vec<T>& x) {  // e⁻ˣ may overflow to ∞: 1 / ∞ = 0 is then right
    return 1 / (1 + exp<T>(-x));
}

inline Vec<float> erf(const Vec<float>& x) {
    const Vec<float> a = abs<float>(x), s = x * x;
    const Vec<float> near =
        x * polynomial<float>(s, {1.28379166e-1f, -3.76125336e-1f, 1.12819925e-1f, -2.67681349e-2f,
                                  4.99119423e-3f, -5.96761703e-4f}) + x;
    const Vec<float> top = a > 4.0f ? splat(4.0f) : a;  // from there on it rounds to 1
    const Vec<float> inner = polynomial<float>(top, {-1.28717512e-1f, -6.34846687e-1f, -1.06777877e-1f,
                                                     2.42546219e-2f, -3.88396438e-3f, 3.83197126e-4f,
                                                     -1.72853470e-5f});
    const Vec<float> far = 1 - exp<float>(top * inner - top);
    return with_sign_of<float>(a > 0.927734375f ? far : near, x);
}

inline Vec<double> erf(const Vec<double>& x) {
    const Vec<double> a = abs<double>(x), size = a > 6.0 ? splat(6.0) : a, s = x * x;
    const Vec<double> near = x * (polynomial<double>(s, {3.20937758913846947e3, 3.77485237685302021e2,
                                                         1.13864154151050156e2, 3.16112374387056560e0,
                                                         1.85777706184603153e-1}) /
                                  polynomial<double>(s, {2.84423683343917062e3, 1.28261652607737228e3,
                                                         2.44024637934444173e2, 2.36012909523441209e1, 1.0}));
    const Vec<double> tail =
        polynomial<double>(size, {1.23033935479799725e3, 2.05107837782607147e3, 1.71204761263407058e3,
                                  8.81952221241769090e2, 2.98635138197400131e2, 6.61191906371416295e1,
                                  8.88314979438837594e0, 5.64188496988670089e-1, 2.15311535474403846e-8}) /
        polynomial<double>(size, {1.23033935480374942e3, 3.43936767414372164e3, 4.36261909014324716e3,
                                  3.29079923573345963e3, 1.62138957456669019e3, 5.37181101862009858e2,
                                  1.17693950891312499e2, 1.57449261107098347e1, 1.0});
    const Vec<double> far = 1 - exp<double>(-size * size) * tail;
    return with_sign_of<double>(a > 0.46875 ? far : near, x);
}

}  // namespace mmb
