// Rows of a table (ops/embedding.py): y[i] = table[index[i]], and back: dtable[index[i]] += share[i] · g[i].
//
//   table, dtable (rows, cols);  index (n);  y, g (n, cols);  share (n) or none
//   bytes  8 an element of y forward; backward 12 an element of g, and 4 of the table for its zeros
//
// The rows of g are added in their order, whatever thread does it: threads share the columns.
#include "python/kernel_table.hpp"
#include "rows.hpp"

namespace mmb {
namespace {

template <class I>
void check_places(const Span<const I>& index, Index rows) {  // a place outside would be a wild write
    for (Index i = 0; i < index.size; ++i)
        expect(index[i] >= 0 && static_cast<Index>(index[i]) < rows, "places that the table has");
}

template <class T, class I>
void gather_rows(const Span<T>& y, const Span<const T>& table, const Span<const I>& index, Index cols) {
    expect(y.size == index.size * cols && cols > 0 && table.size % cols == 0, "a row of y for each place");
    check_places(index, table.size / cols);
    each_row(index.size, cols, [&](Index first, Index last) {
        for (Index i = first; i < last; ++i) {
            const T* row = table.data + index[i] * cols;
            std::copy(row, row + cols, y.data + i * cols);
        }
    });
}

template <class T, class I>
void add_rows_at(const Span<T>& dtable, const Span<const T>& g, const Span<const I>& index, const Span<const T>& share,
                 Index cols) {
    expect(g.size == index.size * cols && cols > 0 && dtable.size % cols == 0 && (!share || share.size == index.size),
           "a row of g, and a share, for each place");
    const Index rows = dtable.size / cols;
    check_places(index, rows);
    constexpr Index width = 256;  // columns that a thread takes
    each_row((cols + width - 1) / width, (rows + index.size) * width, [&](Index first, Index last) {
        const Index from = first * width, count = std::min(cols, last * width) - from;
        for (Index r = 0; r < rows; ++r) std::fill_n(dtable.data + r * cols + from, count, T(0));
        for (Index i = 0; i < index.size; ++i) {
            T* const to = dtable.data + index[i] * cols + from;
            const T *row = g.data + i * cols + from, part = share ? share[i] : T(1);
            each_vector<T>(count, [&](Index j, Index k) { store(to + j, load(to + j, k) + part * load(row + j, k), k); });
        }
    });
}

}  // namespace

MMB_CPU_KERNEL("gather_rows", gather_rows<T, std::int64_t>);
MMB_CPU_KERNEL("gather_rows", gather_rows<T, std::int32_t>);
MMB_CPU_KERNEL("add_rows_at", add_rows_at<T, std::int64_t>);
MMB_CPU_KERNEL("add_rows_at", add_rows_at<T, std::int32_t>);

}  // namespace mmb
