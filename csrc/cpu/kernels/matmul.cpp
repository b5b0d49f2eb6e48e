// Y = A B over leading batch dimensions, which broadcast (ops/products.py).
#include "gemm.hpp"
#include "python/kernel_table.hpp"
#include "pool.hpp"
#include "python/unlocked.hpp"

namespace mmb {
namespace {

// The batch of an operand, of as many dimensions as the result's: its strides are 0 where it repeats.
struct Batch {
    int ndim = 0;
    Index count = 1;
    std::vector<Index> shape;
    Index a[Strided<float>::most] = {}, b[Strided<float>::most] = {};

    template <class T>
    Batch(const Strided<const T>& left, const Strided<const T>& right) {
        ndim = std::max(left.ndim, right.ndim) - 2;
        for (int d = 0; d < ndim; ++d) {
            const int l = d - ndim + left.ndim - 2, r = d - ndim + right.ndim - 2;  // below 0: it has no such dimension
            const Index m = l < 0 ? 1 : left.shape[l], n = r < 0 ? 1 : right.shape[r];
            expect(m == n || m == 1 || n == 1, "batch dimensions that broadcast");
            shape.push_back(m == 1 ? n : m);
            a[d] = m == 1 ? 0 : left.strides[l];
            b[d] = n == 1 ? 0 : right.strides[r];
            count *= shape.back();
        }
    }

    // Where operand a or b of the batch's member `index` begins.
    Index offset(const Index* strides, Index index) const {
        Index offset = 0;
        for (int d = ndim - 1; d >= 0; --d) {
            offset += index % shape[d] * strides[d];
            index /= shape[d];
        }
        return offset;
    }

    // Whether the members of a follow each other evenly, as more rows of one matrix, and b is one for all.
    bool is_one_matrix(Index rows, Index row_stride) const {
        Index expected = rows * row_stride;
        for (int d = ndim - 1; d >= 0; --d) {
            if (shape[d] == 1) continue;
            if (b[d] != 0 || a[d] != expected) return false;
            expected *= shape[d];
        }
        return true;
    }
};

// y (batch, m, n), of which there is at least one number
template <class T>
void multiply_all(const Batch& batch, Index m, Index n, Index k, const Factor<T>& left, const Factor<T>& right, T* y) {
    if (batch.is_one_matrix(m, left.row_stride)) return parallel_gemm(m * batch.count, n, k, left, right, y, n);
    const auto member = [&](Index i, const auto& product) {
        const T *a_i = left.data + batch.offset(batch.a, i), *b_i = right.data + batch.offset(batch.b, i);
        product(m, n, k, Factor<T>{a_i, left.row_stride, left.col_stride}, Factor<T>{b_i, right.row_stride, right.col_stride},
                y + i * m * n, n, Epilogue<T>{});
    };
    const double each = 1.0 * m * n * k;
    constexpr double work = 4e6;  // of a chunk, in multiplications: as in parallel_gemm
    if (each > work) {
        for (Index i = 0; i < batch.count; ++i) member(i, parallel_gemm<T>);
        return;
    }
    const Index members = std::max<Index>(1, work / std::max(each, 1.0));
    parallel_for((batch.count + members - 1) / members, [&](Index chunk) {
        const Index end = std::min(batch.count, (chunk + 1) * members);
        for (Index i = chunk * members; i < end; ++i) member(i, gemm<T>);
    });
}

template <class T>
Object matmul(const Strided<const T>& a, const Strided<const T>& b) {
    expect(a.ndim >= 2 && b.ndim >= 2, "matrices");
    const Batch batch(a, b);
    const Index m = a.shape[a.ndim - 2], n = b.shape[b.ndim - 1], k = a.shape[a.ndim - 1];
    expect(b.shape[b.ndim - 2] == k, "as many rows of b as columns of a");
    const Factor<T> left{a.data, a.strides[a.ndim - 2], a.strides[a.ndim - 1]};
    const Factor<T> right{b.data, b.strides[b.ndim - 2], b.strides[b.ndim - 1]};
    std::vector<Index> shape = batch.shape;
    shape.insert(shape.end(), {m, n});
    Made<T> y(shape);
    if (m && n && batch.count) {
        const UnlockedFor others_may_run(1.0 * m * n * k * batch.count);
        multiply_all(batch, m, n, k, left, right, y.data);
    }
    return y.object;
}

}  // namespace

MMB_CPU_FUNCTION("matmul", matmul<T>);

}  // namespace mmb
