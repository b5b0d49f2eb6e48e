// The largest and the sum of each window, there and back. planes.hpp makes every place of the kernel
// a shift, so that a vector of windows is compared or added at once.
//
//   max   y[p] = max over places of x[p + offset(place)];   ∂x[p + offset(place[p])] += g[p]
//   sum   y[p] = Σ over places of x[p + offset(place)];     ∂x[p + offset(place)] += g[p] for all places
//
// One channel of one image after another; it stays in the nearest caches.
#include <cmath>

#include "kernel_table.hpp"
#include "planes.hpp"
#include "pool.hpp"

namespace mmb {
namespace {

using Place = std::uint16_t;
constexpr Place nowhere = 0xffff;  // no pixel of this window is above -∞

template <class T>
struct Memory {
    Scratch<T> planes, run;
    Scratch<LaneNumber<T>> places;
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

// Of equal ones the first counts; NaN is larger than every number, and the last of them counts.
template <class T>
void max_of_run(Index n, const std::vector<Index>& offsets, const T* planes, T* run, LaneNumber<T>* places) {
    constexpr Index L = lanes<T>;
    using Numbers = LaneNumbers<T>;
    const Numbers none = Numbers{} + static_cast<LaneNumber<T>>(nowhere);
    for (Index p = 0; p < n; p += L) {
        Vec<T> most = splat<T>(-INFINITY);
        Numbers at = none;
        LaneNumber<T> k = 0;
        for (const Index offset : offsets) {
            const Vec<T> x = load(planes + offset + p);
            const auto larger = (x > most) | (x != x);
            most = larger ? x : most;
            at = larger ? Numbers{} + k : at;
            ++k;
        }
        store(run + p, most);
        std::memcpy(places + p, &at, sizeof at);
    }
}

// y, where it stands (row · W + column), and under which place of the kernel.
template <class T>
void max_pool(const Images<T>& y, const Span<std::int64_t>& indices, const Span<Place>& places, const Images<const T>& x,
              const Geometry& geometry) {
    const Index h = x.shape[2], w = x.shape[3], oh = y.shape[2], ow = y.shape[3], windows = oh * ow;
    const Planes planes(geometry, h, w, oh, ow);
    expect(y.shape[0] == x.shape[0] && y.shape[1] == x.shape[1] && lies_in_rows(y) &&
               indices.size == y.shape[0] * y.shape[1] * windows && places.size == indices.size,
           "a maximum and its place for each window, in rows");
    expect(planes.places() < nowhere, "fewer than 65535 places in a window");
    const Axis &down = planes.down, &across = planes.across;
    const std::vector<Index> offsets = planes.offsets(1, oh);
    std::vector<std::int64_t> step;  // from a window's corner to the pixel under each place
    for (Index i = 0; i < down.kernel; ++i)
        for (Index j = 0; j < across.kernel; ++j) step.push_back(i * down.dilation * w + j * across.dilation);
    const auto first = [](const Axis& axis, Index window) {  // its first pixel inside the image
        const Index start = window * axis.stride - axis.before;
        return start < 0 ? start + (-start + axis.dilation - 1) / axis.dilation * axis.dilation : start;
    };
    const Index length = planes.run(oh) + lanes<T>;
    each_plane(x.shape, planes.channel(oh), [&](Index n, Index c) {
        Memory<T>& memory = Memory<T>::of_this_thread();
        T *pixels = memory.planes.of(planes.channel(oh) + lanes<T>), *run = memory.run.of(length);
        LaneNumber<T>* at = memory.places.of(length);
        lay_out<T>(x.plane(n, c), x.strides[2], x.strides[3], planes, 0, oh, -INFINITY, pixels);
        max_of_run<T>(planes.run(oh), offsets, pixels, run, at);
        T* to = y.plane(n, c);
        const Index start = (n * x.shape[1] + c) * windows;
        for (Index r = 0; r < oh; ++r) {
            std::copy_n(run + r * planes.width, ow, to + r * ow);
            const LaneNumber<T>* from = at + r * planes.width;
            const Index corner = (r * down.stride - down.before) * w - across.before;
            for (Index col = 0; col < ow; ++col) {
                const Index i = start + r * ow + col;
                places[i] = static_cast<Place>(from[col]);
                indices[i] = from[col] == nowhere ? first(down, r) * w + first(across, col)
                                                  : corner + col * across.stride + step[from[col]];
            }
        }
        memory.planes.trim(), memory.run.trim(), memory.places.trim();
    });
}

// The way back of one run: add(k, g) says what of g goes under place k. dx lies in rows.
template <class T, class F>
void spread(const Images<T>& dx, const Images<const T>& g, const Geometry& geometry, const F& add) {
    const Index oh = g.shape[2], ow = g.shape[3];
    const Planes planes(geometry, dx.shape[2], dx.shape[3], oh, ow);
    expect(g.shape[0] == dx.shape[0] && g.shape[1] == dx.shape[1] && lies_in_rows(dx), "gradients of images, in rows");
    const bool covered = planes.down.covers() && planes.across.covers();
    const std::vector<Index> offsets = planes.offsets(1, oh);
    each_plane(dx.shape, planes.channel(oh), [&](Index n, Index c) {
        Memory<T>& memory = Memory<T>::of_this_thread();
        T* pixels = memory.planes.of(planes.channel(oh));
        std::fill_n(pixels, planes.channel(oh), T(0));
        for (Index r = 0; r < oh; ++r)
            for (Index k = 0; k < planes.places(); ++k)
                add(n, c, r, k, g.plane(n, c) + r * g.strides[2], pixels + offsets[k] + r * planes.width);
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
void max_unpool(const Images<T>& dx, const Images<const T>& g, const Span<const Place>& places, const Geometry& geometry) {
    const Index channels = g.shape[1], oh = g.shape[2], ow = g.shape[3], step = g.strides[3];
    expect(places.size == g.shape[0] * channels * oh * ow, "a place for each window");
    spread(dx, g, geometry, [&](Index n, Index c, Index r, Index k, const T* from, T* to) {
        const Place* at = &places[((n * channels + c) * oh + r) * ow];
        if (step == 1) {
            for (Index col = 0; col < ow; ++col) to[col] += at[col] == k ? from[col] : T(0);
        } else {
            for (Index col = 0; col < ow; ++col) to[col] += at[col] == k ? from[col * step] : T(0);
        }
    });
}

template <class T>
void window_spread(const Images<T>& dx, const Images<const T>& g, const Geometry& geometry) {
    const Index ow = g.shape[3], step = g.strides[3];
    spread(dx, g, geometry, [&](Index, Index, Index, Index, const T* from, T* to) {
        for (Index col = 0; col < ow; ++col) to[col] += from[col * step];
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
        T *pixels = memory.planes.of(planes.channel(oh)), *to = y.plane(n, c);
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

MMB_CPU_KERNEL("max_pool", max_pool<float>);
MMB_CPU_KERNEL("max_pool", max_pool<double>);
MMB_CPU_KERNEL("max_unpool", max_unpool<float>);
MMB_CPU_KERNEL("max_unpool", max_unpool<double>);
MMB_CPU_KERNEL("window_sum", window_sum<float>);
MMB_CPU_KERNEL("window_sum", window_sum<double>);
MMB_CPU_KERNEL("window_spread", window_spread<float>);
MMB_CPU_KERNEL("window_spread", window_spread<double>);

}  // namespace mmb
