// The gradients of a convolution's filters: products of runs of pixels, summed up.
//
//   ∂weight[o, c, place] = Σ over n, p of  g[n, o, p] · x[n, c, p + offset(place)],   ∂bias[o] = Σ g[n, o, p]
//
// The sums stay in registers, some filters times some terms, over all images of a chunk; a vector
// holds sums of its own for each of its lanes. A chunk's sums are added to the others' in their order.
// So 50,000 pixels are not one serial sum, which would cost digits.
//
// g has zeros behind the windows of a row; 0 · ∞ is NaN, so next to a pixel that is not finite the
// gradient of a weight may be NaN where the windows alone would not make it so.
#include "conv2d.hpp"
#include "python/kernel_table.hpp"
#include "rows.hpp"

namespace mmb {
namespace {

constexpr int tile_filters = 4, tile_terms = registers == 32 ? 6 : 3;

constexpr Index near_bytes = 16 << 10;  // half of the first cache

// Rows of images that lie ready: x as planes, g as one run with zeros behind each row.
template <class T>
struct Ready {
    const T *pixels, *g;
    Index vectors;
};

// sums[f sums_row + k] for F filters, their g `g_row` apart, and K terms.
template <class T, int F, int K>
void sum_products(const std::vector<Ready<T>>& ready, Index g_start, Index g_row, const Index* offsets, T* sums,
                  Index sums_row) {
    Vec<T> sum[F][K];
#pragma GCC unroll 8
    for (int f = 0; f < F; ++f)
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) sum[f][k] = Vec<T>{};
    for (const Ready<T>& part : ready) {
        const T* g[F];
        const T* x[K];
        for (int f = 0; f < F; ++f) g[f] = part.g + g_start + f * g_row;
        for (int k = 0; k < K; ++k) x[k] = part.pixels + offsets[k];
        for (Index p = 0; p < part.vectors * lanes<T>; p += lanes<T>) {
            Vec<T> gs[F];
#pragma GCC unroll 8
            for (int f = 0; f < F; ++f) gs[f] = load(g[f] + p);
#pragma GCC unroll 8
            for (int k = 0; k < K; ++k) {
                const Vec<T> xs = load(x[k] + p);
#pragma GCC unroll 8
                for (int f = 0; f < F; ++f) sum[f][k] += gs[f] * xs;
            }
        }
    }
#pragma GCC unroll 8
    for (int f = 0; f < F; ++f)
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) sums[f * sums_row + k] = across<T>(sum[f][k], Plus());
}

template <class T, int F, int K = tile_terms>
void sum_terms(Index terms, const std::vector<Ready<T>>& ready, Index g_start, Index g_row, const Index* offsets, T* sums,
               Index sums_row) {
    if constexpr (K > 1)
        if (terms < K) return sum_terms<T, F, K - 1>(terms, ready, g_start, g_row, offsets, sums, sums_row);
    sum_products<T, F, K>(ready, g_start, g_row, offsets, sums, sums_row);
}

template <class T, int F = tile_filters>
void sum_tile(Index filters, Index terms, const std::vector<Ready<T>>& ready, Index g_start, Index g_row,
              const Index* offsets, T* sums, Index sums_row) {
    if constexpr (F > 1)
        if (filters < F) return sum_tile<T, F - 1>(filters, terms, ready, g_start, g_row, offsets, sums, sums_row);
    sum_terms<T, F>(terms, ready, g_start, g_row, offsets, sums, sums_row);
}

template <class T>
struct Memory {
    Scratch<T> pixels, g, parts;
    static Memory& of_this_thread() {
        static thread_local Memory memory;
        return memory;
    }
};

// Of dweight and dbias, either may be none; y is the result of a ReLU, or none.
template <class T>
void conv2d_filters(const Span<T>& dweight, const Span<T>& dbias, const Images<const T>& g, const Images<const T>& y,
                    const Images<const T>& x, const Geometry& geometry, Index groups, Index weights) {
    const Convolution<const T> conv(g, x.shape, {nullptr, weights}, geometry, groups);
    const Planes& planes = conv.planes;
    const Index channels = conv.channels, filters = conv.filters, terms = conv.terms(), oh = g.shape[2], ow = g.shape[3];
    expect((!dweight || dweight.size == weights) && (!dbias || dbias.size == g.shape[1]) && (!y || y.shape == g.shape),
           "a gradient for each weight, bias and result");
    constexpr Index L = lanes<T>, size = sizeof(T);
    const Index width = planes.width, halo = planes.down.reach();
    const Index row = (channels * planes.channel(1) / planes.height(1) + filters * width) * size;
    const Index block = rows_of_block(oh, row, halo), blocks = ceil_div(oh, block);
    const Index behind = width + L;  // what is read behind the last channel, times 0
    const Index pixels = channels * planes.channel(block) + behind, g_row = ceil_div(block * width, L) * L;
    const std::vector<Index> offsets = planes.offsets(channels, block);

    // A chunk: so many blocks that their operands fill the cache and, for all groups, at most 16 chunks:
    // each has sums of its own
    const Index units = conv.images * blocks, fitting = block_bytes / ((pixels + filters * g_row) * size);
    const Index together = std::max<Index>({1, fitting, ceil_div(units, 16)}), chunks = ceil_div(units, together);
    const Index sums = filters * terms, parts_size = groups * (sums + filters);
    Memory<T>& memory = Memory<T>::of_this_thread();
    T* parts = memory.parts.of(chunks * parts_size);
    // So many blocks at a time that the g of a tile stays in the nearest cache while the terms go by
    const Index near = near_bytes / (tile_filters * g_row * size);
    const Index at_once = std::max<Index>(1, std::min({fitting, together, near}));

    parallel_for(chunks * groups, [&](Index task) {
        const Index chunk = task / groups, group = task % groups;
        T *dw = parts + chunk * parts_size + group * sums, *db = parts + chunk * parts_size + groups * sums + group * filters;
        std::fill_n(db, filters, T(0));
        if (dweight) std::fill_n(dw, sums, T(0));
        Memory<T>& mine = Memory<T>::of_this_thread();
        T *all_pixels = mine.pixels.of(at_once * pixels), *all_g = mine.g.of(at_once * filters * g_row + slack<T>);
        std::vector<T> tile(tile_filters * terms);
        const Index end = std::min(units, (chunk + 1) * together);
        for (Index start = chunk * together; start < end; start += at_once) {
            std::vector<Ready<T>> ready;
            for (Index u = start; u < std::min(end, start + at_once); ++u) {
                const Index n = u / blocks, first = u % blocks * block, rows = std::min(block, oh - first);
                T *to_pixels = all_pixels + (u - start) * pixels, *to_g = all_g + (u - start) * filters * g_row;
                const Index vectors = ceil_div(rows * width, L);
                for (Index o = 0; o < filters; ++o) {
                    const Index filter = group * filters + o;
                    T* to = to_g + o * g_row;
                    for (Index r = first; r < first + rows; ++r, to += width) {
                        gradient_row(g.plane(n, filter) + r * g.strides[2], g.strides[3],
                                     y ? y.plane(n, filter) + r * y.strides[2] : nullptr, y.strides[3], ow, to);
                        fill_row(to + ow, width - ow, T(0));
                    }
                    fill_row(to, to_g + o * g_row + vectors * L - to, T(0));
                    if (dbias) db[o] += sum<T>(vectors * L, [&](Index i, Index) { return load(to_g + o * g_row + i); });
                }
                if (!dweight) continue;
                for (Index c = 0; c < channels; ++c)
                    lay_out<T>(x.plane(n, group * channels + c), x.strides[2], x.strides[3], planes, first, block, T(0),
                               to_pixels + c * planes.channel(block));
                std::fill_n(to_pixels + pixels - behind, behind, T(0));
                ready.push_back({to_pixels, to_g, vectors});
            }
            for (Index o = 0; dweight && o < filters; o += tile_filters) {
                const Index height = std::min<Index>(tile_filters, filters - o);
                for (Index k = 0; k < terms; k += tile_terms)
                    sum_tile<T>(height, std::min<Index>(tile_terms, terms - k), ready, o * g_row, g_row, &offsets[k],
                                &tile[k], terms);
                for (Index i = 0; i < height * terms; ++i) dw[o * terms + i] += tile[i];
            }
        }
        mine.pixels.trim(), mine.g.trim();
    });
    for (Index i = 0; i < groups * sums && dweight; ++i) {
        T sum = 0;
        for (Index chunk = 0; chunk < chunks; ++chunk) sum += parts[chunk * parts_size + i];
        dweight[i] = sum;
    }
    for (Index i = 0; i < groups * filters && dbias; ++i) {
        T sum = 0;
        for (Index chunk = 0; chunk < chunks; ++chunk) sum += parts[chunk * parts_size + groups * sums + i];
        dbias[i] = sum;
    }
    memory.parts.trim();
}

}  // namespace

MMB_CPU_KERNEL("conv2d_filters", conv2d_filters<T>);

}  // namespace mmb
