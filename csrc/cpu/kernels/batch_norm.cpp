// Batch normalisation and its gradients (ops/normalization.py):
//
//   y = (x - μ) / √(σ² + ε) · weight + bias, with μ, σ² of a channel
//   ∂L/∂x = (g - Σg/n - x̂ · Σgx̂/n) · weight / √(σ² + ε),   ∂L/∂weight = Σ g x̂,   ∂L/∂bias = Σ g
//
//   x, y, g, dx  (N, C, P): P = H·W values of a channel lie together (NCHW), or P = 1: columns (NC, NHWC)
//   bytes  8 an element forward, 12 backward, where a channel, or a block of columns, stays in the cache
//          from its sums to its result; y and dx are written past the caches if they are large
//
// μ and σ² come from one pass: sums of d = x - pilot and of d², where the pilot is a mean of a few x.
// n σ² = Σd² - (Σd)²/n loses digits if the pilot is far from μ; then μ becomes the pilot of a second pass.
// An infinite pilot would make μ = ∞ NaN: 0 is taken instead.
#include <cmath>

#include "python/kernel_table.hpp"
#include "rows.hpp"
#include "streaming.hpp"

namespace mmb {
namespace {

constexpr Index block = 256;       // columns that are taken together
constexpr Index large = 1 << 18;   // numbers of an array that the caches do not keep until it is read again

template <class T>
T finite(T pilot) {
    return std::isfinite(pilot) ? pilot : T(0);
}

template <class T>
struct Channels {  // what there is per channel
    T *mean, *variance, *scale;  // scale = 1 / √(σ² + ε)
    T eps;

    // From the sums about a pilot; false if it was more than four standard deviations away from μ.
    bool finish(Index c, T pilot, T sum, T squares, T n) const {
        const T shift = sum / n, spread = squares / n - shift * shift;
        mean[c] = pilot + shift;
        variance[c] = spread < 0 ? T(0) : spread;  // NaN stays
        scale[c] = 1 / std::sqrt(variance[c] + eps);
        return !(shift * shift > 16 * variance[c]);
    }
    Channels from(Index c) const { return {mean + c, variance + c, scale + c, eps}; }
};

template <class T>
struct Factors {  // weight and bias, or none
    const T *weight, *bias;
    T weight_of(Index c) const { return weight ? weight[c] : T(1); }
    T bias_of(Index c) const { return bias ? bias[c] : T(0); }
};

struct Sizes {
    Index images, channels, plane;
    Index step() const { return channels * plane; }
    Index n() const { return images * plane; }
    bool streams() const { return images * channels * plane > large; }
};

// ---- NCHW: one channel, of which each image has a plane

template <class T, class F>
TwoNumbers<T> two_sums_of_planes(const Sizes& s, const F& f) {  // f(start of the plane, j, k)
    TwoNumbers<T> total{0, 0};
    for (Index i = 0; i < s.images; ++i) {
        const auto [a, b] = two_sums<T>(s.plane, [&](Index j, Index k) { return f(i * s.step() + j, k); });
        total.first += a, total.second += b;
    }
    return total;
}

template <class T, class F>
void write_planes(T* y, const Sizes& s, const F& f) {
    for (Index i = s.images; i-- > 0;)  // the last ones are still in the cache
        each_written<T>(y + i * s.step(), s.plane, s.streams(), [&](Index j, Index k) { return f(i * s.step() + j, k); });
}

template <class T>
void channel_forward(T* y, const T* x, const Factors<T>& v, const Channels<T>& about, const Sizes& s, Index c) {
    x += c * s.plane, y += c * s.plane;
    T pilot = finite(sum<T>(s.plane, [&](Index j, Index k) { return load(x + j, k); }) / s.plane);
    for (int pass = 0; pass < 2; ++pass, pilot = about.mean[c]) {
        const auto [a, b] = two_sums_of_planes<T>(s, [&](Index j, Index k) {
            const Vec<T> d = filled<T>(load(x + j, k) - pilot, k, T(0));
            return Two<T>{d, d * d};
        });
        if (about.finish(c, pilot, a, b, s.n())) break;
    }
    const T mean = about.mean[c], factor = about.scale[c] * v.weight_of(c), shift = v.bias_of(c);
    write_planes(y, s, [&](Index j, Index k) { return (load(x + j, k) - mean) * factor + shift; });
}

template <class T>
void channel_backward(T* dx, T* dweight, T* dbias, const T* g, const T* x, const Factors<T>& v,
                      const Channels<T>& about, const Sizes& s, Index c) {
    x += c * s.plane, g += c * s.plane;
    const T mean = about.mean[c], scale = about.scale[c];
    const auto [a, b] = two_sums_of_planes<T>(s, [&](Index j, Index k) {
        const Vec<T> h = load(g + j, k);
        return Two<T>{h, h * (load(x + j, k) - mean)};
    });
    dbias[c] = a, dweight[c] = b * scale;
    if (!dx) return;
    const T factor = scale * v.weight_of(c), even = a / s.n(), along = b * scale * scale / s.n();
    write_planes(dx + c * s.plane, s, [&](Index j, Index k) {
        return (load(g + j, k) - even - (load(x + j, k) - mean) * along) * factor;
    });
}

// ---- NC and NHWC: `width` neighbouring columns, from the c-th on

// y[r, j] = f(its number, j, k), from the last row to the first: the last ones were read last and are
// still in the cache. Two rows at once: what f reads of a column is read once for both; more rows of 2ⁿ
// numbers would push each other out of the nearest cache.
template <class T, class F>
void write_columns(T* y, const Sizes& s, Index width, const F& f) {
    const Index C = s.channels;
    Index r = s.images;
    while (!s.streams() && r >= 2) {
        r -= 2;
        each_vector<T>(width, [&](Index j, Index k) {
            const Index i = r * C + j;
            const Vec<T> one = f(i, j, k), other = f(i + C, j, k);
            store(y + i, one, k), store(y + i + C, other, k);
        });
    }
    while (r-- > 0)
        each_written<T>(y + r * C, width, s.streams(), [&](Index j, Index k) { return f(r * C + j, j, k); });
}

template <class T>
void columns_forward(T* y, const T* x, const Factors<T>& v, const Channels<T>& all, const Sizes& s, Index c, Index width) {
    x += c, y += c;
    const Channels<T> about = all.from(c);
    T pilot[block], first[block], second[block], factor[block], shift[block];
    const Index few = std::min<Index>(s.images, 8);
    for (Index j = 0; j < width; ++j) {
        T sum = 0;
        for (Index r = 0; r < few; ++r) sum += x[r * s.channels + j];
        pilot[j] = finite(sum / few);
    }
    for (int pass = 0; pass < 2; ++pass) {
        two_sums_of_columns<T>(first, second, s.images, width, [&](Index r, Index j, Index k) {
            const Vec<T> d = load(x + r * s.channels + j, k) - load(pilot + j, k);
            return Two<T>{d, d * d};
        });
        bool good = true;
        for (Index j = 0; j < width; ++j) good &= about.finish(j, pilot[j], first[j], second[j], s.images);
        if (good) break;
        std::copy(about.mean, about.mean + width, pilot);
    }
    for (Index j = 0; j < width; ++j) factor[j] = about.scale[j] * v.weight_of(c + j), shift[j] = v.bias_of(c + j);
    write_columns(y, s, width, [&](Index i, Index j, Index k) {
        return (load(x + i, k) - load(about.mean + j, k)) * load(factor + j, k) + load(shift + j, k);
    });
}

template <class T>
void columns_backward(T* dx, T* dweight, T* dbias, const T* g, const T* x, const Factors<T>& v,
                      const Channels<T>& all, const Sizes& s, Index c, Index width) {
    x += c, g += c, dweight += c, dbias += c;
    const Channels<T> about = all.from(c);
    two_sums_of_columns<T>(dbias, dweight, s.images, width, [&](Index r, Index j, Index k) {
        const Vec<T> h = load(g + r * s.channels + j, k);
        return Two<T>{h, h * (load(x + r * s.channels + j, k) - load(about.mean + j, k))};
    });
    T factor[block], even[block], along[block];
    for (Index j = 0; j < width; ++j) {
        dweight[j] *= about.scale[j];
        even[j] = dbias[j] / s.images, along[j] = dweight[j] * about.scale[j] / s.images;
        factor[j] = about.scale[j] * v.weight_of(c + j);
    }
    if (!dx) return;
    write_columns(dx + c, s, width, [&](Index i, Index j, Index k) {
        const Vec<T> d = load(x + i, k) - load(about.mean + j, k);
        return (load(g + i, k) - load(even + j, k) - d * load(along + j, k)) * load(factor + j, k);
    });
}

// ---- all channels, shared among threads

template <class F, class G>
void each_channel(const Sizes& s, const F& channel, const G& columns) {
    if (s.plane > 1) {
        each_row(s.channels, 2 * s.n(), [&](Index first, Index last) {
            for (Index c = first; c < last; ++c) channel(c);
            end_of_stream();
        });
    } else {
        each_row((s.channels + block - 1) / block, 2 * block * s.images, [&](Index first, Index last) {
            for (Index b = first; b < last; ++b) columns(b * block, std::min(block, s.channels - b * block));
            end_of_stream();
        });
    }
}

template <class T>
Sizes checked(const Span<const T>& x, const Span<const T>& weight, const Span<const T>& bias, Index channels, Index plane) {
    const Index step = channels * plane;
    expect(x.size > 0 && channels > 0 && plane > 0 && x.size % step == 0 && (!weight || weight.size == channels) &&
               (!bias || bias.size == channels),
           "(N, C, P) values, not empty; C weights and biases");
    return {x.size / step, channels, plane};
}

template <class T>
void batch_norm(const Span<T>& y, const Span<T>& mean, const Span<T>& variance, const Span<T>& scale,
                const Span<const T>& x, const Span<const T>& weight, const Span<const T>& bias, Index channels,
                Index plane, double eps) {
    const Sizes s = checked(x, weight, bias, channels, plane);
    expect(y.size == x.size && mean.size == channels && variance.size == channels && scale.size == channels,
           "y of the size of x; C means, variances and scales");
    const Channels<T> about{mean.data, variance.data, scale.data, static_cast<T>(eps)};
    const Factors<T> v{weight.data, bias.data};
    each_channel(s, [&](Index c) { channel_forward(y.data, x.data, v, about, s, c); },
                 [&](Index c, Index width) { columns_forward(y.data, x.data, v, about, s, c, width); });
}

template <class T>
void batch_norm_backward(const Span<T>& dx, const Span<T>& dweight, const Span<T>& dbias, const Span<const T>& g,
                         const Span<const T>& x, const Span<const T>& weight, const Span<T>& mean, const Span<T>& scale,
                         Index channels, Index plane) {
    const Sizes s = checked(x, weight, weight, channels, plane);
    expect((!dx || dx.size == x.size) && g.size == x.size && dweight.size == channels && dbias.size == channels &&
               mean.size == channels && scale.size == channels,
           "gradients of the size of x; C gradients of weights and biases");
    const Channels<T> about{mean.data, nullptr, scale.data, 0};
    const Factors<T> v{weight.data, nullptr};
    each_channel(s, [&](Index c) { channel_backward(dx.data, dweight.data, dbias.data, g.data, x.data, v, about, s, c); },
                 [&](Index c, Index width) {
                     columns_backward(dx.data, dweight.data, dbias.data, g.data, x.data, v, about, s, c, width);
                 });
}

}  // namespace

MMB_CPU_KERNEL("batch_norm", batch_norm<T>);
MMB_CPU_KERNEL("batch_norm_backward", batch_norm_backward<T>);

}  // namespace mmb
