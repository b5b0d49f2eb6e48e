// The largest and the sum of each window, there and back. planes.hpp makes every place of the kernel
// a shift, so that a vector of windows is compared or added at once.
//
//   max   y[p] = max over places of x[p + offset(place)];   ∂x[index[p]] += g[p]
//   sum   y[p] = Σ over places of x[p + offset(place)];     ∂x[p + offset(place)] += g[p] for all places
//
// One channel of one image after another; it stays in the nearest caches.
#include <cmath>

#include "python/kernel_table.hpp"
#include "planes.hpp"
#include "pool.hpp"

namespace mmb {
namespace {

template <class T>
struct Memory {
    Scratch<T> planes, run;
    Scratch<LaneNumber<T>> steps;
    static Memory& of_this_thread() {
        static thread_local Memory memory;
        return memory;
    }
};

// body(n, c, memory) for every channel of every image; numbers: what one of them takes, in size.
template <class F>
void each_plane(const std::array<Index, 4>& shape, Index numbers, const F& body) {
    const Index planes = shape[0] * shape[1], together = (1 << 17) / std::max<Index>(numbers, 1) + 1;
    parallel_for((planes + together - 1) / together, [&](Index chunk) {
        for (Index i = chunk * together; i < std::min(planes, (chunk + 1) * together); ++i) body(i / shape[1], i % shape[1]);
    });
}

template <class T>
bool lies_in_rows(const Images<T>& x) {
    return x.strides[3] == 1 && x.strides[2] == x.shape[3] && x.strides[1] == x.shape[2] * x.shape[3];
}

// No pixel of the window is above -∞. The steps of the others are not below 0.
constexpr int nowhere = -1;

template <class T>
struct Largest {  // of a run of windows, and how far they stand from the window's corner, in pixels of the image
    Vec<T> value;
    LaneNumbers<T> at;
    Largest(const Vec<T>& x, LaneNumber<T> step) : value(x), at(LaneNumbers<T>{} + step) {}

    // Of equal ones the first counts; NaN is larger than every number, and the last of them counts.
    void join(const Vec<T>& x, LaneNumber<T> step) {
        const auto larger = (x > value) | (x != x);
        value = larger ? x : value;
        at = larger ? LaneNumbers<T>{} + step : at;
    }
};

using Steps = std::vector<std::int32_t>;  // from a window's corner to its places

// steps: from the window's corner to its largest pixel, in pixels of the image.
template <class T>
void max_of_run(Index n, const std::vector<Index>& offsets, const Steps& steps, const T* planes, T* run, LaneNumber<T>* places) {
    for (Index p = 0; p < n; p += lanes<T>) {
        Largest<T> most(splat<T>(-INFINITY), nowhere);
        for (std::size_t k = 0; k < offsets.size(); ++k) most.join(load(planes + offsets[k] + p), steps[k]);
        store(run + p, most.value);
        std::memcpy(places + p, &most.at, sizeof most.at);
    }
}

// ---- windows that lie in the image, one or two columns apart: straight from its rows

// As much of a vector as stands before `end`; the other lanes are 0, or left as they are.
template <class T>
inline Vec<T> load_before(const T* p, const T* end) {
    return end - p >= lanes<T> ? load(p) : load_first(p, std::max<Index>(0, end - p));
}
template <class T>
inline void store_before(T* p, const Vec<T>& v, const T* end) {
    if (end - p >= lanes<T>) return store(p, v);
    if (end > p) store_first(p, v, end - p);
}

// a0 a2 a4 ... of 2 L numbers; and the way back: the halves of a0 b0 a1 b1 ...
template <class T, std::size_t... I>
inline Vec<T> every_other(const Vec<T>& a, const Vec<T>& b, std::index_sequence<I...>) {
    return MMB_SHUFFLE(a, b, (2 * static_cast<int>(I))...);
}
template <class T, int Half, std::size_t... I>
inline Vec<T> alternating(const Vec<T>& a, const Vec<T>& b, std::index_sequence<I...>) {
    constexpr int L = lanes<T>;
    return MMB_SHUFFLE(a, b, (Half * L / 2 + static_cast<int>(I) / 2 + static_cast<int>(I) % 2 * L)...);
}
template <class T>
constexpr auto all_lanes = std::make_index_sequence<lanes<T>>();

// Numbers of a vector's lanes as int64 and back, up to `end`. None is below 0, so the upper half is 0; the
// lower half comes first on every processor that has one of our sets of instructions.
template <class T>
inline void store_wide(std::int64_t* p, const LaneNumbers<T>& v, const std::int64_t* end) {
    if constexpr (sizeof(T) == 8) {
        store_before(p, v, end);
    } else {
        using N = LaneNumber<T>;
        if (end - p >= lanes<T>) {
            store(reinterpret_cast<N*>(p), alternating<N, 0>(v, LaneNumbers<T>{}, all_lanes<N>));
            store(reinterpret_cast<N*>(p) + lanes<T>, alternating<N, 1>(v, LaneNumbers<T>{}, all_lanes<N>));
        } else {
            for (Index i = 0; i < end - p; ++i) p[i] = v[i];
        }
    }
}
template <class T>
inline LaneNumbers<T> load_wide(const std::int64_t* p, const std::int64_t* end) {
    if constexpr (sizeof(T) == 8) {
        return load_before(p, end);
    } else {
        using N = LaneNumber<T>;
        const N* const from = reinterpret_cast<const N*>(p);
        if (end - p >= lanes<T>) return every_other<N>(load(from), load(from + lanes<T>), all_lanes<N>);
        LaneNumbers<T> v{};
        for (Index i = 0; i < end - p; ++i) v[i] = static_cast<N>(p[i]);
        return v;
    }
}

// A pixel for each window, S columns apart; `end` where the image ends, or none if that is far.
template <class T, int S>
inline Vec<T> pixels(const T* p, const T* end) {
    const auto run = [end](const T* p) { return end ? load_before(p, end) : load(p); };
    if constexpr (S == 1)
        return run(p);
    else
        return every_other<T>(run(p), run(p + lanes<T>), all_lanes<T>);
}

// A row of windows: `corner` is the first one's, `offset` its number in the image, and of the places
// those from `first` to `last` lie in it. y and index are written up to y_end, in whole vectors.
template <class T, int S>
void max_of_row(Index windows, const Steps& steps, Index first, Index last, const T* corner, Index offset, const T* end,
                T* y, const T* y_end, std::int64_t* index) {
    constexpr Index L = lanes<T>;
    LaneNumbers<T> columns;
    for (int i = 0; i < L; ++i) columns[i] = i * S;
    const std::int64_t* const index_end = index + (y_end - y);
    const Index vectors = (windows + L - 1) / L;
    const auto run = [&](const T* end) {
        for (Index p = 0; p < windows; p += L) {
            const T* const from = corner + p * S;
            Largest<T> most(pixels<T, S>(from + steps[first], end), steps[first]);
            for (Index k = first + 1; k < last; ++k) most.join(pixels<T, S>(from + steps[k], end), steps[k]);
            store_before(y + p, most.value, y_end);
            store_wide<T>(index + p, most.at + columns + static_cast<LaneNumber<T>>(offset + p * S), index_end);
        }
    };
    corner + steps[last - 1] + S * vectors * L <= end ? run(nullptr) : run(end);
}

struct Straight {  // whether a kernel for rows serves these windows
    bool across, alone;
    Straight(const Planes& planes) {
        const Axis &d = planes.down, &a = planes.across;
        const auto inside = [](const Axis& x) {
            return x.before == 0 && (x.count - 1) * x.stride + (x.kernel - 1) * x.dilation < x.size;
        };
        across = a.stride <= 2 && inside(a) && a.size * d.size < INT32_MAX;
        // and whether every pixel is in one window or in none, and of a row of them two columns
        alone = across && inside(d) && a.stride == 2 && a.kernel == 2 && a.dilation == 1 && d.dilation == 1 && d.kernel <= d.stride;
    }
};

// One image: a row of windows after another.
template <class T>
void max_of_image(const Planes& planes, const Steps& steps, const T* x, T* y, std::int64_t* index) {
    const Axis &down = planes.down, &across = planes.across;
    const Index w = across.size, ow = across.count;
    const T *end = x + down.size * w, *y_end = y + down.count * ow;
    for (Index r = 0; r < down.count; ++r, y += ow, index += ow) {
        const Index row = r * down.stride - down.before;
        Index first = 0, last = down.kernel;
        while (row + first * down.dilation < 0) ++first;
        while (row + (last - 1) * down.dilation >= down.size) --last;
        expect(first < last, "windows that reach into the image");
        const auto run = across.stride == 1 ? max_of_row<T, 1> : max_of_row<T, 2>;
        run(ow, steps, first * across.kernel, last * across.kernel, x + row * w, row * w, end, y, y_end, index);
    }
}

// y, and where it stands: row · W + column.
template <class T>
void max_pool(const Images<T>& y, const Span<std::int64_t>& indices, const Images<const T>& x, const Geometry& geometry) {
    const Index h = x.shape[2], w = x.shape[3], oh = y.shape[2], ow = y.shape[3], windows = oh * ow;
    const Planes planes(geometry, h, w, oh, ow);
    expect(y.shape[0] == x.shape[0] && y.shape[1] == x.shape[1] && lies_in_rows(y) &&
               indices.size == y.shape[0] * y.shape[1] * windows,
           "a maximum and its place for each window, in rows");
    const Axis &down = planes.down, &across = planes.across;
    expect((down.kernel * down.dilation + 1) * w + across.kernel * across.dilation < INT32_MAX, "windows of 2 billion pixels at most");
    const std::vector<Index> offsets = planes.offsets(1, oh);
    Steps steps;
    for (Index i = 0; i < down.kernel; ++i)
        for (Index j = 0; j < across.kernel; ++j)
            steps.push_back(static_cast<std::int32_t>(i * down.dilation * w + j * across.dilation));
    const auto first = [](const Axis& axis, Index window) {  // its first pixel inside the image
        const Index start = window * axis.stride - axis.before;
        return start < 0 ? start + (-start + axis.dilation - 1) / axis.dilation * axis.dilation : start;
    };
    const bool straight = Straight(planes).across && x.strides[3] == 1 && x.strides[2] == w;
    const Index length = planes.run(oh) + lanes<T>;
    each_plane(x.shape, planes.channel(oh), [&](Index n, Index c) {
        T* to = y.plane(n, c);
        std::int64_t* index = &indices[(n * x.shape[1] + c) * windows];
        if (straight) return max_of_image(planes, steps, x.plane(n, c), to, index);
        Memory<T>& memory = Memory<T>::of_this_thread();
        T *pixels = memory.planes.of(planes.channel(oh) + slack<T>), *run = memory.run.of(length);
        LaneNumber<T>* places = memory.steps.of(length);
        lay_out<T>(x.plane(n, c), x.strides[2], x.strides[3], planes, 0, oh, -INFINITY, pixels);
        max_of_run<T>(planes.run(oh), offsets, steps, pixels, run, places);
        for (Index r = 0; r < oh; ++r, to += ow, index += ow) {
            std::copy_n(run + r * planes.width, ow, to);
            const LaneNumber<T>* from = places + r * planes.width;
            const Index corner = (r * down.stride - down.before) * w - across.before;
            bool found = true;
            for (Index col = 0; col < ow; ++col) {
                found &= from[col] != nowhere;
                index[col] = corner + col * across.stride + from[col];
            }
            for (Index col = 0; !found && col < ow; ++col)
                if (from[col] == nowhere) index[col] = first(down, r) * w + first(across, col);
        }
        memory.planes.trim(), memory.run.trim(), memory.steps.trim();
    });
}

// Every pixel is in one window or in none: ∂x is written row by row, and nothing is added up.
template <class T>
void spread_of_image(const Planes& planes, const T* g, Index g_row, const std::int64_t* index, T* dx) {
    constexpr Index L = lanes<T>;
    using N = LaneNumber<T>;
    const Axis &down = planes.down, &across = planes.across;
    const Index w = across.size, ow = across.count;
    T* const end = dx + down.size * w;
    const std::int64_t* const index_end = index + down.count * ow;
    LaneNumbers<T> columns, found{};
    for (int i = 0; i < L; ++i) columns[i] = 2 * i;
    for (Index r = 0; r < down.count; ++r, g += g_row, index += ow) {
        T* to = dx + r * down.stride * w;
        for (Index row = r * down.stride * w, i = 0; i < down.kernel; ++i, row += w, to += w) {
            for (Index p = 0; p < ow; p += L) {
                const Vec<T> v = load(g + p, std::min(L, ow - p));
                LaneNumbers<T> at = load_wide<T>(index + p, index_end) - columns - static_cast<N>(row + 2 * p);
                at = columns < static_cast<N>(2 * (ow - p)) ? at : LaneNumbers<T>{} - 1;
                found -= (at == 0) | (at == 1);
                const Vec<T> left = at == 0 ? v : Vec<T>{}, right = at == 1 ? v : Vec<T>{};
                store_before(to + 2 * p, alternating<T, 0>(left, right, all_lanes<T>), end);
                if (2 * p + L < 2 * ow) store_before(to + 2 * p + L, alternating<T, 1>(left, right, all_lanes<T>), end);
            }
            for (Index col = 2 * ow; col < w; ++col) to[col] = 0;
        }
        std::fill(to, std::min(dx + (r + 1) * down.stride * w, end), T(0));
    }
    if (down.count * down.stride < down.size) std::fill(dx + down.count * down.stride * w, end, T(0));
    Index places = 0;
    for (int i = 0; i < L; ++i) places += found[i];
    std::int64_t bits = 0;  // load_wide leaves out the upper ones
    for (const std::int64_t* i = index_end - down.count * ow; i < index_end; ++i) bits |= *i;
    expect(places == down.count * ow && bits >= 0 && bits <= INT32_MAX, "indices inside the images, and each in its window");
}

template <class T>
void max_unpool(const Images<T>& dx, const Images<const T>& g, const Span<const std::int64_t>& indices, const Geometry& geometry) {
    const Index channels = g.shape[1], oh = g.shape[2], ow = g.shape[3], step = g.strides[3], size = dx.shape[2] * dx.shape[3];
    expect(indices.size == g.shape[0] * channels * oh * ow && g.shape[0] == dx.shape[0] && channels == dx.shape[1] && lies_in_rows(dx),
           "an index for each gradient, and gradients of images in rows");
    const Planes planes(geometry, dx.shape[2], dx.shape[3], oh, ow);
    const bool alone = Straight(planes).alone && step == 1 && 2 * ow > lanes<T>;  // else vectors would be half empty
    each_plane(dx.shape, size, [&](Index n, Index c) {
        T* image = dx.plane(n, c);
        const std::int64_t* index = &indices[(n * channels + c) * oh * ow];
        if (alone) return spread_of_image(planes, g.plane(n, c), g.strides[2], index, image);
        std::fill_n(image, size, T(0));
        for (Index r = 0; r < oh; ++r, index += ow) {
            const T* from = g.plane(n, c) + r * g.strides[2];
            for (Index col = 0; col < ow; ++col) {
                expect(static_cast<std::uint64_t>(index[col]) < static_cast<std::uint64_t>(size), "indices inside the images");
                image[index[col]] += from[col * step];
            }
        }
    });
}

// Each number to every pixel of its window. dx lies in rows.
template <class T>
void window_spread(const Images<T>& dx, const Images<const T>& g, const Geometry& geometry) {
    const Index oh = g.shape[2], ow = g.shape[3], step = g.strides[3];
    const Planes planes(geometry, dx.shape[2], dx.shape[3], oh, ow);
    expect(g.shape[0] == dx.shape[0] && g.shape[1] == dx.shape[1] && lies_in_rows(dx), "gradients of images, in rows");
    const bool covered = planes.down.covers() && planes.across.covers();
    const std::vector<Index> offsets = planes.offsets(1, oh);
    each_plane(dx.shape, planes.channel(oh), [&](Index n, Index c) {
        Memory<T>& memory = Memory<T>::of_this_thread();
        T* pixels = memory.planes.of(planes.channel(oh));
        std::fill_n(pixels, planes.channel(oh), T(0));
        for (Index r = 0; r < oh; ++r)
            for (const Index offset : offsets) {
                const T* from = g.plane(n, c) + r * g.strides[2];
                T* to = pixels + offset + r * planes.width;
                for (Index col = 0; col < ow; ++col) to[col] += from[col * step];
            }
        T* image = dx.plane(n, c);
        if (!covered) std::fill_n(image, dx.shape[2] * dx.shape[3], T(0));
        const T* plane = pixels;
        for (Index a = 0; a < static_cast<Index>(planes.down.phases.size()); ++a)
            for (Index b = 0; b < static_cast<Index>(planes.across.phases.size()); ++b, plane += planes.height(oh) * planes.width)
                put_back(plane, planes, a, b, 0, planes.height(oh), image);
        memory.planes.trim();
    });
}

template <class T>
void window_sum(const Images<T>& y, const Images<const T>& x, const Geometry& geometry) {
    const Index oh = y.shape[2], ow = y.shape[3];
    const Planes planes(geometry, x.shape[2], x.shape[3], oh, ow);
    expect(y.shape[0] == x.shape[0] && y.shape[1] == x.shape[1] && lies_in_rows(y), "a sum for each window, in rows");
    const std::vector<Index> offsets = planes.offsets(1, oh);
    each_plane(x.shape, planes.channel(oh), [&](Index n, Index c) {
        Memory<T>& memory = Memory<T>::of_this_thread();
        T *pixels = memory.planes.of(planes.channel(oh) + slack<T>), *to = y.plane(n, c);
        lay_out<T>(x.plane(n, c), x.strides[2], x.strides[3], planes, 0, oh, T(0), pixels);
        for (Index r = 0; r < oh; ++r, to += ow) {
            std::fill_n(to, ow, T(0));
            for (const Index offset : offsets) {
                const T* from = pixels + offset + r * planes.width;
                for (Index col = 0; col < ow; ++col) to[col] += from[col];
            }
        }
        memory.planes.trim();
    });
}

}  // namespace

MMB_CPU_KERNEL("max_pool", max_pool<T>);
MMB_CPU_KERNEL("max_unpool", max_unpool<T>);
MMB_CPU_KERNEL("window_sum", window_sum<T>);
MMB_CPU_KERNEL("window_spread", window_spread<T>);

}  // namespace mmb
