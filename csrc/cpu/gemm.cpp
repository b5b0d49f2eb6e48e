#include "gemm.hpp"

#include <algorithm>
#include <new>

#include "pool.hpp"

namespace mmb {
namespace {

// A panel of B, block_depth x Tile::cols, is read from a near cache while all tiles of a block of A pass
// by; a block of A, block_rows x block_depth, stays in the second (0.4 or 0.26 MB). Sums over k are cut
// into equal blocks of about that depth, as a short last one would cost as much reading and writing of
// the result as a whole one.
template <class T>
constexpr Index block_depth = (registers == 32 ? 1536 : 1024) / sizeof(T);
template <class T>
constexpr Index deepest = block_depth<T> * 3 / 2;
static_assert(at_once<float> <= block_depth<float> && at_once<double> <= block_depth<double>, "one block is not cut");
template <class T>
constexpr Index block_rows = Tile<T>::rows * (registers == 32 ? 19 : 43);

constexpr Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }

constexpr Index block_cols = 1024;  // of B, packed at a time; no panel of any width is cut in two

// Memory of this thread for packed operands, kept from call to call.
template <class T>
struct Scratch {
    T* panels;  // of B
    T* blocks;  // of A
    Scratch() {
        constexpr std::size_t of_b = deepest<T> * block_cols, of_a = deepest<T> * block_rows<T>;
        panels = static_cast<T*>(::operator new((of_b + of_a) * sizeof(T), std::align_val_t{64}));
        blocks = panels + of_b;
    }
    ~Scratch() { ::operator delete(panels, std::align_val_t{64}); }
    Scratch(const Scratch&) = delete;
    static const Scratch& of_this_thread() {
        static thread_local const Scratch scratch;
        return scratch;
    }
};

// out[k cols + j] = b(k, j) for `count` columns, filled up with zeros to `cols`, whole vectors.
template <class T>
void pack_columns(Index depth, Index count, const Factor<T>& b, T* out, Index cols) {
    constexpr Index L = lanes<T>;
    Index k = 0;
    if (b.col_stride == 1)
        for (; k < depth; ++k)
            for (Index j = 0; j < cols; j += L) store(out + k * cols + j, load(b.at(k, j).data, std::min(L, count - j)));
    if (b.row_stride == 1)
        for (; k + L <= depth; k += L)
            for (Index j = 0; j < cols; j += L) {
                Vec<T> square[L];
                for (Index i = 0; i < L; ++i) square[i] = j + i < count ? load(b.at(k, j + i).data) : Vec<T>{};
                transpose<T>(square);
                for (Index i = 0; i < L; ++i) store(out + (k + i) * cols + j, square[i]);
            }
    for (; k < depth; ++k)
        for (Index j = 0; j < cols; ++j) out[k * cols + j] = j < count ? *b.at(k, j).data : T(0);
}

// out[k rows + i] = a(i, k)
template <class T>
void pack_rows(Index rows, Index depth, const Factor<T>& a, T* out) {
    constexpr Index L = lanes<T>;
    Index k = 0;
    if (a.row_stride == 1)
        for (; k < depth; ++k)
            for (Index i = 0; i < rows; i += L) {
                const Index n = std::min(L, rows - i);
                store(out + k * rows + i, load(a.at(i, k).data, n), n);
            }
    if (a.col_stride == 1)
        for (; k + L <= depth; k += L)
            for (Index i = 0; i < rows; i += L) {
                const Index n = std::min(L, rows - i);
                Vec<T> square[L];
                for (Index r = 0; r < L; ++r) square[r] = r < n ? load(a.at(i + r, k).data) : Vec<T>{};
                transpose<T>(square);
                for (Index r = 0; r < L; ++r) store(out + (k + r) * rows + i, square[r], n);
            }
    for (; k < depth; ++k)
        for (Index i = 0; i < rows; ++i) out[k * rows + i] = *a.at(i, k).data;
}

// Whether copying blocks of A first is worth it: they are read once for each panel of B. Columns are
// far apart in memory; rows that are a multiple of 2 KB apart share a few places of the nearest cache.
template <class T>
bool is_to_be_packed(const Factor<T>& a, Index n, Index k) {
    const bool across = a.col_stride != 1, in_the_way = a.row_stride * sizeof(T) % 2048 == 0;
    return k >= 128 && (across ? n >= 2 * Tile<T>::cols : in_the_way && n >= 8 * Tile<T>::cols);
}

// Rows of A (m, depth) by one panel of B, at most Tile::cols columns, in tiles of about equal height.
// `packed`: A's blocks of rows lie as pack_rows leaves them.
template <class T, int V>
void multiply_panel(Index m, Index depth, const Factor<T>& a, const T* packed, const T* panel, Index panel_row, T* c,
                    Index c_row, Index last_count, const Epilogue<T>& e, Part part) {
    const Index tiles = ceil_div(m, Tile<T>::rows);
    for (Index t = 0; t < tiles; ++t) {
        const Index i = m * t / tiles, rows = m * (t + 1) / tiles - i;
        const Factor<T> strip = packed ? in_columns(packed + i * depth, rows) : a.at(i, 0);
        multiply_rows<T, V>(static_cast<int>(rows), depth, strip.data, strip.row_stride, strip.col_stride, panel, panel_row,
                            c + i * c_row, c_row, last_count, e.at(i, 0), part);
    }
}

// The same for A of at most 3 rows, by wider tiles: their sums are as many as the processor needs to be
// busy. How many columns it came by.
template <class T>
Index multiply_few_rows(Index m, Index n, Index depth, const Factor<T>& a, const Factor<T>& b, T* c, Index c_row,
                        const Epilogue<T>& e, Part part) {
    constexpr int vectors = registers == 32 ? 8 : 4;
    constexpr Index cols = vectors * lanes<T>;
    Index j = 0;
    for (; j + cols <= n; j += cols)
        multiply_rows<T, vectors, 3>(static_cast<int>(m), depth, a.data, a.row_stride, a.col_stride, b.at(0, j).data,
                                     b.row_stride, c + j, c_row, lanes<T>, e.at(0, j), part);
    return j;
}

// The product by blocks of k, blocks of A's rows and panels of B. A panel is packed when the first block
// of A meets it, and stays packed for the other blocks.
template <class T>
void multiply(Index m, Index n, Index k, Factor<T> a, Factor<T> b, T* c, Index c_stride, const Epilogue<T>& e) {
    constexpr Index cols = Tile<T>::cols, L = lanes<T>;
    const Scratch<T>& scratch = Scratch<T>::of_this_thread();
    const bool pack_a = is_to_be_packed(a, n, k);
    const Index blocks = pack_a || m > 2 * block_rows<T> ? ceil_div(m, block_rows<T>) : 1;
    if (blocks > 1 && n > block_cols) {  // more than the memory for panels holds
        multiply(m, block_cols, k, a, b, c, c_stride, e);
        return multiply(m, n - block_cols, k, a, b.at(0, block_cols), c + block_cols, c_stride, e.at(0, block_cols));
    }
    const Index sums = std::max<Index>(1, (k + block_depth<T> / 2) / block_depth<T>);
    for (Index sum = 0; sum < sums; ++sum) {  // once if k is 0: the epilogue of nothing
        const Index k0 = k * sum / sums, depth = k * (sum + 1) / sums - k0;
        const Part part{sum == 0, sum == sums - 1};
        for (Index block = 0; block < blocks; ++block) {
            const Index i0 = m * block / blocks, rows = m * (block + 1) / blocks - i0, tiles = ceil_div(rows, Tile<T>::rows);
            const Factor<T> left = a.at(i0, k0);
            for (Index t = 0; pack_a && t < tiles; ++t) {
                const Index i = rows * t / tiles, height = rows * (t + 1) / tiles - i;
                pack_rows(height, depth, left.at(i, 0), scratch.blocks + i * depth);
            }
            Index j0 = 0;
            if (rows <= 3 && b.col_stride == 1)
                j0 = multiply_few_rows(rows, n, depth, left, b.at(k0, 0), c + i0 * c_stride, c_stride, e.at(i0, 0), part);
            for (; j0 < n; j0 += cols) {
                const Index width = std::min(cols, n - j0), vectors = ceil_div(width, L);
                const Factor<T> right = b.at(k0, j0);
                // Rows of B are read as they lie if few tiles read them
                const bool pack_b = right.col_stride != 1 || width % L || tiles > 4;
                T* const panel = scratch.panels + (blocks > 1 ? j0 * depth : 0);
                if (pack_b && block == 0) pack_columns(depth, width, right, panel, vectors * L);
                const auto panel_product = vectors == 2 ? multiply_panel<T, 2> : multiply_panel<T, 1>;
                panel_product(rows, depth, left, pack_a ? scratch.blocks : nullptr, pack_b ? panel : right.data,
                              pack_b ? vectors * L : right.row_stride, c + i0 * c_stride + j0, c_stride,
                              width - (vectors - 1) * L, e.at(i0, j0), part);
            }
        }
    }
}

// Σ over k of R rows of A times C rows of B, both contiguous along k: products of vectors, then of one
// number each. For so few rows or columns that packing them into panels would be most of the work.
template <class T, int R, int C, class Finish>
void dot_products(Index k, const T* a, Index a_row, const T* b, Index b_row, const Finish& finish) {
    Vec<T> sum[R][C] = {};
    each_vector<T>(k, [&](Index at, Index count) {
        Vec<T> column[C];
        for (int j = 0; j < C; ++j) column[j] = load(b + j * b_row + at, count);
        for (int i = 0; i < R; ++i)
            for (int j = 0; j < C; ++j) sum[i][j] += load(a + i * a_row + at, count) * column[j];
    });
    for (int i = 0; i < R; ++i)
        for (int j = 0; j < C; ++j) {
            T z = 0;
            for (int l = 0; l < lanes<T>; ++l) z += sum[i][j][l];
            finish(i, j, z);
        }
}

// c = epilogue(A Bᵀ) for A of R rows; swapped: c is the transpose of that.
template <class T, int R>
void multiply_by_dots(Index n, Index k, const T* a, Index a_row, const T* b, Index b_row, T* c, Index c_row,
                      const Epilogue<T>& e, bool swapped) {
    constexpr int C = R == 1 ? 8 : 4;
    const auto finish_at = [&](Index first) {
        return [&, first](Index i, Index j, T z) {
            j += first;
            const Index row = swapped ? j : i, col = swapped ? i : j;
            T& out = c[row * c_row + col];
            if (e.accumulate) z += out;
            if (e.bias) z += e.bias[col];
            if (e.relu && z < 0) z = 0;
            if (e.add) z += e.add[row * e.add_stride + col];
            if (e.gate && e.gate[row * e.gate_stride + col] <= 0) z = 0;
            out = z;
        };
    };
    Index j = 0;
    for (; j + C <= n; j += C) dot_products<T, R, C>(k, a, a_row, b + j * b_row, b_row, finish_at(j));
    for (; j < n; ++j) dot_products<T, R, 1>(k, a, a_row, b + j * b_row, b_row, finish_at(j));
}

// Whether dot products are the way: both factors lie along k, and one has 3 rows at most.
template <class T>
bool is_thin(Index m, Index n, const Factor<T>& a, const Factor<T>& b) {
    return a.col_stride == 1 && b.row_stride == 1 && std::min(m, n) <= 3;
}

template <class T>
void multiply_thin(Index m, Index n, Index k, const Factor<T>& a, const Factor<T>& b, T* c, Index c_row, const Epilogue<T>& e) {
    const bool swapped = n < m;
    const T *few = swapped ? b.data : a.data, *many = swapped ? a.data : b.data;
    const Index few_row = swapped ? b.col_stride : a.row_stride, many_row = swapped ? a.row_stride : b.col_stride;
    const Index fewer = std::min(m, n), more = std::max(m, n);
    if (fewer == 1) multiply_by_dots<T, 1>(more, k, few, few_row, many, many_row, c, c_row, e, swapped);
    if (fewer == 2) multiply_by_dots<T, 2>(more, k, few, few_row, many, many_row, c, c_row, e, swapped);
    if (fewer == 3) multiply_by_dots<T, 3>(more, k, few, few_row, many, many_row, c, c_row, e, swapped);
}

}  // namespace

template <class T>
void gemm(Index m, Index n, Index k, Factor<T> a, Factor<T> b, T* c, Index c_stride, const Epilogue<T>& e) {
    if (m == 0 || n == 0) return;  // tiles have one row at least
    if (is_thin(m, n, a, b)) return multiply_thin(m, n, k, a, b, c, c_stride, e);
    multiply(m, n, k, a, b, c, c_stride, e);
}

// Chunks are large enough to pay for a thread's coming, 0.1 ms, and for packing their part of B.
template <class T>
void parallel_gemm(Index m, Index n, Index k, Factor<T> a, Factor<T> b, T* c, Index c_stride, const Epilogue<T>& e) {
    constexpr double work = 4e6;  // multiplications
    if (threads() == 1 || 1.0 * m * n * k < 2 * work || is_thin(m, n, a, b)) return gemm(m, n, k, a, b, c, c_stride, e);
    constexpr Index widest = 16 * Tile<T>::cols;
    const Index width = ceil_div(ceil_div(n, ceil_div(n, widest)), Tile<T>::cols) * Tile<T>::cols, across = ceil_div(n, width);
    const Index wanted = static_cast<Index>(work / (1.0 * std::min(width, n) * k)) + 1;
    const Index height = std::min(std::max(ceil_div(wanted, Tile<T>::rows), Index(4)) * Tile<T>::rows, m);
    const Index down = ceil_div(m, height);
    parallel_for(across * down, [&](Index chunk) {
        const Index i = chunk / across * height, j = chunk % across * width;
        multiply(std::min(height, m - i), std::min(width, n - j), k, a.at(i, 0), b.at(0, j), c + i * c_stride + j, c_stride,
                 e.at(i, j));
    });
}

#define MMB_GEMM_OF(T)                                                                                        \
    template void gemm<T>(Index, Index, Index, Factor<T>, Factor<T>, T*, Index, const Epilogue<T>&);           \
    template void parallel_gemm<T>(Index, Index, Index, Factor<T>, Factor<T>, T*, Index, const Epilogue<T>&);
MMB_GEMM_OF(float)
MMB_GEMM_OF(double)

}  // namespace mmb
