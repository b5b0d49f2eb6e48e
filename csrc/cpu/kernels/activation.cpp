// One number in, one out, where it takes an exponential: y = f(x), and ∂L/∂x = g · f'.
//
//   bytes  8 an element forward, 12 backward; 10 to 60 operations an element, of which most are exp's
#include "gelu.hpp"
#include "python/kernel_table.hpp"
#include "pool.hpp"

namespace mmb {
namespace {

constexpr Index chunk = 32768;  // elements that one thread takes at a time: some 50 microseconds

template <class T, class F>
void each_chunk(Index n, const F& f) {
    const auto piece = [&](Index start, Index size) { each_vector<T>(size, [&](Index i, Index k) { f(start + i, k); }); };
    if (n <= chunk) return piece(0, n);
    parallel_for((n + chunk - 1) / chunk, [&](Index c) { piece(c * chunk, std::min(chunk, n - c * chunk)); });
}

// y = f(x)
template <class T, class F>
void map(const Span<T>& y, const Span<const T>& x, const F& f) {
    expect(y.size == x.size, "y of the size of x");
    each_chunk<T>(x.size, [&](Index i, Index k) { store(y.data + i, f(load(x.data + i, k)), k); });
}

// dx = g · f'(saved), which is f(g, saved)
template <class T, class F>
void slope(const Span<T>& dx, const Span<const T>& g, const Span<const T>& saved, const F& f) {
    expect(dx.size == g.size && dx.size == saved.size, "gradients of the size of x");
    each_chunk<T>(dx.size, [&](Index i, Index k) { store(dx.data + i, f(load(g.data + i, k), load(saved.data + i, k)), k); });
}

#define MMB_MAP(name, value)                                                         \
    template <class T>                                                               \
    void name(const Span<T>& y, const Span<const T>& array) {                        \
        map<T>(y, array, [](const Vec<T>& x) -> Vec<T> { return value; });           \
    }                                                                                \
    MMB_CPU_KERNEL(#name, name<T>)

#define MMB_SLOPE(name, value)                                                                         \
    template <class T>                                                                                 \
    void name(const Span<T>& dx, const Span<const T>& gradient, const Span<const T>& array) {          \
        slope<T>(dx, gradient, array, [](const Vec<T>& g, const Vec<T>& x) -> Vec<T> { return value; }); \
    }                                                                                                  \
    MMB_CPU_KERNEL(#name, name<T>)

MMB_MAP(map_exp, exp<T>(x));
MMB_MAP(map_expm1, expm1<T>(x));
MMB_MAP(map_log, log<T>(x));
MMB_MAP(map_log1p, log1p<T>(x));
MMB_MAP(map_tanh, tanh<T>(x));
MMB_MAP(map_sigmoid, sigmoid<T>(x));
MMB_MAP(map_erf, erf(x));
MMB_MAP(map_silu, x * sigmoid<T>(x));
MMB_MAP(map_gelu, x * below<T>(x));
MMB_MAP(map_gelu_tanh, x * nearly_below<T>(x));

// x is y for these two
MMB_SLOPE(slope_tanh, g * (1 - x * x));
MMB_SLOPE(slope_sigmoid, g * ((1 - x) * x));

template <class T>
Vec<T> silu_slope(const Vec<T>& x) {
    const Vec<T> s = sigmoid<T>(x);
    return s * (1 + x * (1 - s));
}
MMB_SLOPE(slope_erf, g * (T(1.1283791670955125739) * exp<T>(-(x * x))));
MMB_SLOPE(slope_silu, g * silu_slope<T>(x));
MMB_SLOPE(slope_gelu, g * gelu_slope<T>(x));
MMB_SLOPE(slope_gelu_tanh, g * gelu_tanh_slope<T>(x));

// s · x where x > 0, else s · α (eˣ - 1)
template <class T>
void map_elu(const Span<T>& y, const Span<const T>& array, double alpha, double scale) {
    const T s = scale, low = alpha * scale;
    map<T>(y, array, [=](const Vec<T>& x) -> Vec<T> { return x > 0 ? x * s : expm1<T>(x > 0 ? Vec<T>{} : x) * low; });
}
template <class T>
void slope_elu(const Span<T>& dx, const Span<const T>& gradient, const Span<const T>& array, double alpha, double scale) {
    const T s = scale, low = alpha * scale;
    slope<T>(dx, gradient, array, [=](const Vec<T>& g, const Vec<T>& x) -> Vec<T> {
        return g * (x > 0 ? splat(s) : exp<T>(x < 0 ? x : Vec<T>{}) * low);
    });
}

// ln(1 + e^(βx)) / β, and x itself where βx > threshold
template <class T>
void map_softplus(const Span<T>& y, const Span<const T>& array, double beta, double threshold) {
    const T b = beta, top = threshold;
    map<T>(y, array, [=](const Vec<T>& x) -> Vec<T> {
        const Vec<T> z = x * b;
        return z > top ? x : log1p<T>(exp<T>(z)) / b;
    });
}
template <class T>
void slope_softplus(const Span<T>& dx, const Span<const T>& gradient, const Span<const T>& array, double beta, double threshold) {
    const T b = beta, top = threshold;
    slope<T>(dx, gradient, array, [=](const Vec<T>& g, const Vec<T>& x) -> Vec<T> {
        const Vec<T> z = x * b;
        return z > top ? g : g * sigmoid<T>(z);
    });
}

}  // namespace

MMB_CPU_KERNEL("map_elu", map_elu<T>);
MMB_CPU_KERNEL("slope_elu", slope_elu<T>);
MMB_CPU_KERNEL("map_softplus", map_softplus<T>);
MMB_CPU_KERNEL("slope_softplus", slope_softplus<T>);

}  // namespace mmb
