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

// Of equal ones the first counts; NaN is larger than every number, and the last of them counts.
// steps: from the window's corner to its largest pixel, in pixels of the image.
template <class T>
void max_of_run(Index n, const std::vector<Index>& offsets, const std::vector<LaneNumber<T>>& step, const T* planes, T* run,
                LaneNumber<T>* steps) {
    constexpr Index L = lanes<T>;
    using Numbers = LaneNumbers<T>;
    for (Index p = 0; p < n; p += L) {
        Vec<T> most = splat<T>(-INFINITY);
        Numbers at = Numbers{} + LaneNumber<T>(nowhere);
        for (std::size_t k = 0; k < offsets.size(); ++k) {
            const Vec<T> x = load(planes + offsets[k] + p);
            const auto larger = (x > most) | (x != x);
            most = larger ? x : most;
            at = larger ? Numbers{} + step[k] : at;
        }
        store(run + p, most);
        std::memcpy(steps + p, &at, sizeof at);
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
    std::vector<LaneNumber<T>> step;
    for (Index i = 0; i < down.kernel; ++i)
        for (Index j = 0; j < across.kernel; ++j)
            step.push_back(static_cast<LaneNumber<T>>(i * down.dilation * w + j * across.dilation));
    const auto first = [](const Axis& axis, Index window) {  // its first pixel inside the image
        const Index start = window * axis.stride - axis.before;
        return start < 0 ? start + (-start + axis.dilation - 1) / axis.dilation * axis.dilation : start;
    };
    const Index length = planes.run(oh) + lanes<T>;
    each_plane(x.shape, planes.channel(oh), [&](Index n, Index c) {
        Memory<T>& memory = Memory<T>::of_this_thread();
        T *pixels = memory.planes.of(planes.channel(oh) + lanes<T>), *run = memory.run.of(length);
        LaneNumber<T>* steps = memory.steps.of(length);
        lay_out<T>(x.plane(n, c), x.strides[2], x.strides[3], planes, 0, oh, -INFINITY, pixels);
        max_of_run<T>(planes.run(oh), offsets, step, pixels, run, steps);
        T* to = y.plane(n, c);
        std::int64_t* index = &indices[(n * x.shape[1] + c) * windows];
        for (Index r = 0; r < oh; ++r, to += ow, index += ow) {
            std::copy_n(run + r * planes.width, ow, to);
            const LaneNumber<T>* from = steps + r * planes.width;
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

template <class T>
void max_unpool(const Images<T>& dx, const Images<const T>& g, const Span<const std::int64_t>& indices) {
    const Index channels = g.shape[1], oh = g.shape[2], ow = g.shape[3], step = g.strides[3], size = dx.shape[2] * dx.shape[3];
    expect(indices.size == g.shape[0] * channels * oh * ow && g.shape[0] == dx.shape[0] && channels == dx.shape[1] && lies_in_rows(dx),
           "an index for each gradient, and gradients of images in rows");
    each_plane(dx.shape, size, [&](Index n, Index c) {
        T* image = dx.plane(n, c);
        std::fill_n(image, size, T(0));
        const std::int64_t* index = &indices[(n * channels + c) * oh * ow];
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
