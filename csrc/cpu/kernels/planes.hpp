// Sliding windows as shifts: what convolution and pooling share.
//
// An image, its border added, is dealt out to stride · stride planes: plane (a, b) has the rows
// a, a + stride, ... and of them the columns b, b + stride, ... Then whatever stride and dilation are,
// the pixels under one place of the kernel, for all windows, are one run of numbers:
//
//   pixel under place (i, j) of window (oh, ow)  =  planes[offset(i, j) + oh · width + ow]
//
// so a whole vector of windows is one load. Behind the `count` windows of a row come the columns that
// only the kernel's right part covers: what is computed for them is left out.
#pragma once
#include <algorithm>
#include <array>
#include <new>
#include <vector>

#include "array.hpp"
#include "simd.hpp"

namespace mmb {

// Kernel, stride, dilation and the border above and to the left, each (rows, columns), as in
// ops/windows.py; how many windows there are follows from the shape of the result.
using Geometry = std::array<Index, 8>;

// The windows along rows (axis 0) or columns (axis 1).
struct Axis {
    Index size, count, kernel, stride, dilation, before;  // pixels; windows; the geometry's
    std::vector<Index> phases;                            // those that the kernel's places fall into

    Axis(const Geometry& g, int axis, Index pixels, Index windows)
        : size(pixels), count(windows), kernel(g[axis]), stride(g[2 + axis]), dilation(g[4 + axis]), before(g[6 + axis]) {
        expect(kernel > 0 && stride > 0 && dilation > 0 && before >= 0 && count > 0 && size > 0, "windows on images");
        for (Index i = 0; i < kernel; ++i)
            if (phase(i) == static_cast<Index>(phases.size())) phases.push_back(i * dilation % stride);
    }
    // Which plane place i falls into, and how many rows (columns) of it further on.
    Index phase(Index i) const {
        return std::find(phases.begin(), phases.end(), i * dilation % stride) - phases.begin();
    }
    Index shift(Index i) const { return i * dilation / stride; }
    Index reach() const { return shift(kernel - 1); }
    Index pixel(Index phase, Index r) const { return r * stride + phases[phase] - before; }

    // Rows r of a plane that are rows of the image, one by one: [begin, end).
    Index begin(Index phase) const { return std::max<Index>(0, (before - phases[phase] + stride - 1) / stride); }
    Index end(Index phase) const {
        const Index last = size + before - phases[phase];  // the first pixel that is none
        return last <= 0 ? 0 : std::min(count + reach(), (last + stride - 1) / stride);
    }
    bool covers() const {  // every pixel of the image: then nothing is left as it was
        return static_cast<Index>(phases.size()) == stride && (count + reach()) * stride - before >= size;
    }
};

struct Planes {
    Axis down, across;
    Index width;  // of each plane
    Planes(const Geometry& g, Index h, Index w, Index oh, Index ow)
        : down(g, 0, h, oh), across(g, 1, w, ow), width(ow + across.reach()) {}

    Index places() const { return down.kernel * across.kernel; }
    // Planes for the windows of `rows` rows: their height, and the numbers that a channel takes.
    Index height(Index rows) const { return rows + down.reach(); }
    Index channel(Index rows) const {
        return static_cast<Index>(down.phases.size() * across.phases.size()) * height(rows) * width;
    }
    Index plane(Index a, Index b, Index rows) const {
        return (a * static_cast<Index>(across.phases.size()) + b) * height(rows) * width;
    }
    Index offset(Index i, Index j, Index rows) const {
        return plane(down.phase(i), across.phase(j), rows) + down.shift(i) * width + across.shift(j);
    }
    Index run(Index rows) const { return (rows - 1) * width + across.count; }  // from the first window to the last
    // The offsets of all places of all channels, in the order of a filter's weights.
    std::vector<Index> offsets(Index channels, Index rows) const {
        std::vector<Index> found;
        for (Index c = 0; c < channels; ++c)
            for (Index i = 0; i < down.kernel; ++i)
                for (Index j = 0; j < across.kernel; ++j) found.push_back(c * channel(rows) + offset(i, j, rows));
        return found;
    }
};

// What is read or written behind a row of numbers, in whole vectors.
template <class T>
constexpr Index slack = 3 * lanes<T>;

// Memory of this thread, kept from call to call: fresh pages cost more than what is written to them.
// What is larger than `kept` bytes is given back when the kernel ends.
template <class T>
class Scratch {
public:
    T* of(Index n) {
        if (n > size) {
            release();
            data = static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t{64}));
            size = n;
        }
        return data;
    }
    void trim() {
        constexpr Index kept = 16 << 20;
        if (size * static_cast<Index>(sizeof(T)) > kept) release();
    }
    Scratch() = default;
    Scratch(const Scratch&) = delete;
    ~Scratch() { release(); }

private:
    void release() {
        ::operator delete(data, std::align_val_t{64});
        data = nullptr, size = 0;
    }
    T* data = nullptr;
    Index size = 0;
};

// Rows are written in whole vectors: what is written behind the n-th number, up to a vector, is
// overwritten by the row after it, and behind the last row is room for it.

// to[c] = from[c step]
template <class T>
inline void copy_row(const T* from, Index step, Index n, T* to) {
    if (step == 1) {
        each_vector<T>(n, [&](Index c, Index k) { store(to + c, load(from + c, k)); });
    } else if (step == 2) {  // said apart, so that it becomes vector instructions
        for (Index c = 0; c < n; ++c) to[c] = from[2 * c];
    } else {
        for (Index c = 0; c < n; ++c) to[c] = from[c * step];
    }
}

template <class T>
inline void fill_row(T* to, Index n, T value) {
    for (Index c = 0; c < n; c += lanes<T>) store(to + c, splat(value));
}

// One channel of an image, for the windows of rows [first, first + rows), with `border` around it.
template <class T>
void lay_out(const T* image, Index row_stride, Index col_stride, const Planes& p, Index first, Index rows, T border, T* out) {
    for (Index a = 0; a < static_cast<Index>(p.down.phases.size()); ++a)
        for (Index b = 0; b < static_cast<Index>(p.across.phases.size()); ++b) {
            const Index left = std::min(p.across.begin(b), p.width), right = std::max(left, p.across.end(b));
            const Index top = p.down.begin(a), bottom = p.down.end(a), step = p.across.stride * col_stride;
            const T* from = image + p.across.pixel(b, left) * col_stride;
            for (Index r = first; r < first + p.height(rows); ++r, out += p.width) {
                if (r < top || r >= bottom || left == right) {
                    fill_row(out, p.width, border);
                    continue;
                }
                fill_row(out, left, border);
                copy_row(from + p.down.pixel(a, r) * row_stride, step, right - left, out + left);
                fill_row(out + right, p.width - right, border);
            }
        }
}

// The way back: rows [first, last) of plane (a, b) to the pixels of an image that lies in rows.
template <class T>
void put_back(const T* plane, const Planes& p, Index a, Index b, Index first, Index last, T* image) {
    const Index left = p.across.begin(b), right = p.across.end(b), step = p.across.stride;
    for (Index r = std::max(first, p.down.begin(a)); r < std::min(last, p.down.end(a)); ++r) {
        if (left >= right) continue;
        const T* from = plane + (r - first) * p.width + left;
        T* to = image + p.down.pixel(a, r) * p.across.size + p.across.pixel(b, left);
        if (step == 1)
            std::copy_n(from, right - left, to);
        else
            for (Index c = 0; c < right - left; ++c) to[c * step] = from[c];
    }
}

}  // namespace mmb
