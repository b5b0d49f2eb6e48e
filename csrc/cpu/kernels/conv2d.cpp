// Convolution without a matrix of windows: planes.hpp makes every place of the kernel a shift.
//
//   y[n, o, p]  = Σ over c, place of  weight[o, c, place] · x[n, c, p + offset(place)],  + bias, max(., 0)
//   ∂x[n, c, p] = Σ over o, place of  weight[o, c, place] · g[n, o, p - offset(place)]
//
// Both are the same sum over shifted rows. A tile of it stays in registers: some rows (filters, or
// channels on the way back) times two or three vectors of pixels that lie side by side.
//
//   flops  2 · N · O · OH · OW · C/groups · KH · KW, and as many for ∂x
//
// Behind the windows of a row and around g stand zeros; 0 · ∞ is NaN, so next to a weight that is not
// finite ∂x may be NaN where the windows alone would not make it so.
#include "conv2d.hpp"
#include "python/kernel_table.hpp"
#include "pool.hpp"

namespace mmb {
namespace {

// Rows of n numbers, `stride` apart, one behind the other: in whole vectors as long as what follows is
// written afterwards.
template <class T>
void gather_rows(const T* from, Index stride, Index rows, Index n, T* to) {
    const T* const end = to + rows * n;
    for (Index r = 0; r < rows; ++r, from += stride, to += n) {
        if (end - to >= n + lanes<T>)
            copy_row(from, 1, n, to);
        else
            std::copy_n(from, n, to);
    }
}

// Rows and vectors of a tile: 27 sums of 32 registers, or 12 of 16. The rest holds three vectors of
// pixels and one weight.
constexpr int tile_rows = registers == 32 ? 9 : 4, tile_vectors = 3;
static_assert(tile_vectors * lanes<float> <= slack<float>, "a tile reads behind the last pixel");

template <class T>
struct Finish {  // what is done to the sums: bias for each row, then ReLU
    const T* bias = nullptr;
    bool relu = false;
};

// out[r, p] = Σ over k of weights[k R + r] · pixels[offsets[k] + p], for V vectors of p.
template <class T, int R, int V>
inline void sum_shifted(Index terms, const T* weights, const Index* offsets, const T* pixels, T* out, Index out_row,
                        const Finish<T>& finish) {
    Vec<T> sum[R][V];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sum[r][v] = finish.bias ? splat<T>(finish.bias[r]) : Vec<T>{};
    for (Index k = 0; k < terms; ++k, weights += R) {
        const T* at = pixels + offsets[k];
        Vec<T> x[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) x[v] = load(at + v * lanes<T>);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) sum[r][v] += weights[r] * x[v];
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            Vec<T> z = sum[r][v];
            if (finish.relu) z = z < 0 ? Vec<T>{} : z;  // NaN and -0 stay, as in NumPy
            store(out + r * out_row + v * lanes<T>, z);
        }
}

// The same for a run of n pixels; up to a vector more is read and written behind it. Four vectors are two
// and two: one alone has too few sums to keep the processor busy.
template <class T, int R>
void sum_run(Index n, Index terms, const T* weights, const Index* offsets, const T* pixels, T* out, Index out_row,
             const Finish<T>& finish) {
    constexpr Index L = lanes<T>;
    Index p = 0;
    for (Index left = ceil_div(n, L); left > 2 && left != 4; left -= tile_vectors, p += tile_vectors * L)
        sum_shifted<T, R, tile_vectors>(terms, weights, offsets, pixels + p, out + p, out_row, finish);
    for (; p + L < n; p += 2 * L)
        sum_shifted<T, R, 2>(terms, weights, offsets, pixels + p, out + p, out_row, finish);
    if (p < n)
        sum_shifted<T, R, 1>(terms, weights, offsets, pixels + p, out + p, out_row, finish);
}

template <class T, int R = tile_rows>
void sum_rows(Index rows, Index n, Index terms, const T* weights, const Index* offsets, const T* pixels, T* out,
              Index out_row, const Finish<T>& finish) {
    if constexpr (R > 1)
        if (rows < R) return sum_rows<T, R - 1>(rows, n, terms, weights, offsets, pixels, out, out_row, finish);
    sum_run<T, R>(n, terms, weights, offsets, pixels, out, out_row, finish);
}

// `rows` rows in tiles of about equal height: tile t begins at row start(t).
struct Tiles {
    Index rows, count;
    explicit Tiles(Index n) : rows(n), count(ceil_div(n, tile_rows)) {}
    Index start(Index t) const { return rows * t / count; }
};

template <class T>
struct Memory {
    Scratch<T> weights, operand, result;
    static Memory& of_this_thread() {
        static thread_local Memory memory;
        return memory;
    }
};

// Sums for one block: all rows of a group, tile after tile; done(row, sums) takes each row's.
template <class T, class F>
void sum_block(Index rows, Index n, Index terms, const T* weights, const std::vector<Index>& offsets, const T* pixels,
               const T* bias, bool relu, Scratch<T>& result, const F& done) {
    const Tiles tiles(rows);
    const Index length = ceil_div(n, lanes<T>) * lanes<T>;
    T* sums = result.of(tile_rows * length);
    for (Index t = 0; t < tiles.count; ++t) {
        const Index start = tiles.start(t), height = tiles.start(t + 1) - start;
        sum_rows<T>(height, n, terms, weights + start * terms, offsets.data(), pixels, sums, length,
                    Finish<T>{bias ? bias + start : nullptr, relu});
        for (Index r = 0; r < height; ++r) done(start + r, sums + r * length);
    }
}

template <class T>
void conv2d(const Images<T>& y, const Images<const T>& x, const Span<const T>& weight, const Span<const T>& bias,
            const Geometry& geometry, Index groups, bool relu) {
    const Convolution<const T> conv({y.data, y.shape, y.strides}, x.shape, weight, geometry, groups);
    const Planes& planes = conv.planes;
    const Index channels = conv.channels, filters = conv.filters, terms = conv.terms(), oh = y.shape[2], ow = y.shape[3];
    expect(!bias || bias.size == y.shape[1], "a bias for each filter");
    expect(y.strides[3] == 1 && y.strides[2] == ow, "a result that lies in rows");
    const Index row = channels * planes.channel(1) / planes.height(1) * static_cast<Index>(sizeof(T));
    const Index block = rows_of_block(oh, row, planes.down.reach()), blocks = ceil_div(oh, block);
    const std::vector<Index> offsets = planes.offsets(channels, block);

    Memory<T>& memory = Memory<T>::of_this_thread();
    T* packed = memory.weights.of(weight.size);  // for each tile, the weights of one term side by side
    const Tiles tiles(filters);
    T* out = packed;
    for (Index group = 0; group < groups; ++group)
        for (Index t = 0; t < tiles.count; ++t)
            for (Index k = 0; k < terms; ++k)
                for (Index o = tiles.start(t); o < tiles.start(t + 1); ++o) *out++ = weight[(group * filters + o) * terms + k];

    const Index units = conv.images * groups * blocks, together = blocks_of_chunk(1.0 * filters * terms * block * ow);
    parallel_for(ceil_div(units, together), [&](Index chunk) {
        Memory<T>& mine = Memory<T>::of_this_thread();
        T* operand = mine.operand.of(channels * planes.channel(block) + slack<T>);
        for (Index u = chunk * together; u < std::min(units, (chunk + 1) * together); ++u) {
            const Index n = u / (groups * blocks), group = u / blocks % groups, first = u % blocks * block;
            const Index rows = std::min(block, oh - first);
            for (Index c = 0; c < channels; ++c)
                lay_out<T>(x.plane(n, group * channels + c), x.strides[2], x.strides[3], planes, first, block, T(0),
                           operand + c * planes.channel(block));
            sum_block(filters, planes.run(rows), terms, packed + group * filters * terms, offsets, operand,
                      bias ? &bias[group * filters] : nullptr, relu, mine.result, [&](Index o, const T* sums) {
                          gather_rows(sums, planes.width, rows, ow, y.plane(n, group * filters + o) + first * ow);
                      });
        }
        mine.operand.trim(), mine.result.trim();
    });
    memory.weights.trim();
}

// A plane of x, and which places of the kernel fall into it.
struct Phase {
    Index a, b;
    std::vector<Index> places, offsets;
    const void* weights = nullptr;
};

// dx lies in rows. y is the result of a ReLU, or none.
template <class T>
void conv2d_images(const Images<T>& dx, const Images<const T>& g, const Images<const T>& y, const Span<const T>& weight,
                   const Geometry& geometry, Index groups) {
    const Convolution<const T> conv(g, dx.shape, weight, geometry, groups);
    const Planes& planes = conv.planes;
    const Axis &down = planes.down, &across = planes.across;
    const Index channels = conv.channels, filters = conv.filters, oh = g.shape[2], ow = g.shape[3], width = planes.width;
    expect(!y || y.shape == g.shape, "a gradient for each result");
    expect(dx.strides[3] == 1 && dx.strides[2] == dx.shape[3] && dx.strides[1] == dx.shape[2] * dx.shape[3],
           "gradients of images that lie in rows");
    if (!down.covers() || !across.covers())
        for (Index n = 0; n < conv.images; ++n) std::fill_n(dx.plane(n, 0), dx.shape[1] * dx.strides[1], T(0));

    // Rows of planes that hold rows of images
    Index begin = oh + down.reach(), end = 0;
    for (Index a = 0; a < static_cast<Index>(down.phases.size()); ++a)
        begin = std::min(begin, down.begin(a)), end = std::max(end, down.end(a));
    if (begin >= end) return;
    // g stands behind `halo` rows: those that the kernel reaches back to, and one for the columns left of the first
    const Index halo = down.reach() + 1;
    const Index block = rows_of_block(end - begin, filters * width * static_cast<Index>(sizeof(T)), halo);
    const Index blocks = ceil_div(end - begin, block), channel = (block + halo) * width;

    std::vector<Phase> phases;
    Memory<T>& memory = Memory<T>::of_this_thread();
    T* packed = memory.weights.of(weight.size);
    const Tiles tiles(channels);
    for (Index a = 0; a < static_cast<Index>(down.phases.size()); ++a)
        for (Index b = 0; b < static_cast<Index>(across.phases.size()); ++b) {
            Phase phase{a, b, {}, {}, packed};
            for (Index i = 0; i < down.kernel; ++i)
                for (Index j = 0; j < across.kernel; ++j)
                    if (down.phase(i) == a && across.phase(j) == b) phase.places.push_back(i * across.kernel + j);
            for (Index o = 0; o < filters; ++o)
                for (const Index place : phase.places)
                    phase.offsets.push_back(o * channel + (halo - down.shift(place / across.kernel)) * width -
                                            across.shift(place % across.kernel));
            for (Index group = 0; group < groups; ++group)
                for (Index t = 0; t < tiles.count; ++t)
                    for (Index o = 0; o < filters; ++o)
                        for (const Index place : phase.places)
                            for (Index c = tiles.start(t); c < tiles.start(t + 1); ++c)
                                *packed++ = weight[((group * filters + o) * channels + c) * planes.places() + place];
            phases.push_back(std::move(phase));
        }

    const Index units = conv.images * groups * blocks, together = blocks_of_chunk(1.0 * filters * conv.terms() * block * width);
    parallel_for(ceil_div(units, together), [&](Index chunk) {
        Memory<T>& mine = Memory<T>::of_this_thread();
        T* operand = mine.operand.of(filters * channel + slack<T>);
        for (Index u = chunk * together; u < std::min(units, (chunk + 1) * together); ++u) {
            const Index n = u / (groups * blocks), group = u / blocks % groups, first = begin + u % blocks * block;
            const Index rows = std::min(block, end - first);
            for (Index o = 0; o < filters; ++o) {
                const Index filter = group * filters + o;
                T* to = operand + o * channel;
                for (Index r = first - halo; r < first + block; ++r, to += width) {
                    const bool inside = r >= 0 && r < oh;
                    if (inside)
                        gradient_row(g.plane(n, filter) + r * g.strides[2], g.strides[3],
                                     y ? y.plane(n, filter) + r * y.strides[2] : nullptr, y.strides[3], ow, to);
                    const Index done = inside ? ow : 0;
                    fill_row(to + done, width - done, T(0));
                }
            }
            for (const Phase& phase : phases) {
                const Index terms = static_cast<Index>(phase.offsets.size());
                sum_block(channels, rows * width, terms, static_cast<const T*>(phase.weights) + group * channels * terms,
                          phase.offsets, operand, static_cast<const T*>(nullptr), false, mine.result,
                          [&](Index c, const T* sums) {
                              put_back(sums, planes, phase.a, phase.b, first, first + rows, dx.plane(n, group * channels + c));
                          });
            }
        }
        mine.operand.trim(), mine.result.trim();
    });
    memory.weights.trim();
}

}  // namespace

MMB_CPU_KERNEL("conv2d", conv2d<T>);
MMB_CPU_KERNEL("conv2d_images", conv2d_images<T>);

}  // namespace mmb
