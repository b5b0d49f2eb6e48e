// NumPy's arrays as kernels take them. What a kernel declares is checked at the call:
//
//   Span<float>         a C-contiguous array of float32, any shape; written to
//   Span<const float>   the same, read only
//   Matrix<float>       two dimensions, any strides that are multiples of the element's size
//   Strided<float>      any dimensions, at most 16, and any strides
//   Images<float>       four dimensions, any strides
//   List<float>         a Python list of Spans: the parameters of an optimizer's group
//
// None is a Span without data, and Images without. Sizes travel along, so that a kernel can check them: expect(...).
#pragma once
#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace mmb {

using Index = std::int64_t;

template <class T>
struct Span {
    T* data = nullptr;
    Index size = 0;
    explicit operator bool() const { return data != nullptr; }
    T& operator[](Index i) const { return data[i]; }
};

template <class T>
struct Matrix {
    T* data = nullptr;
    Index rows = 0, cols = 0, row_stride = 0, col_stride = 0;  // strides in elements
    T& operator()(Index i, Index j) const { return data[i * row_stride + j * col_stride]; }
};

template <class T>
struct Strided {
    static constexpr int most = 16;
    T* data = nullptr;
    int ndim = 0;
    Index shape[most] = {}, strides[most] = {};  // strides in elements
};

// (N, C, H, W)
template <class T>
struct Images {
    T* data = nullptr;
    std::array<Index, 4> shape{}, strides{};  // strides in elements
    explicit operator bool() const { return data != nullptr; }
    T* plane(Index n, Index c) const { return data + n * strides[0] + c * strides[1]; }
};

template <class T>
using List = std::vector<Span<T>>;

// A wrapper that hands over wrong sizes is a bug of ours; it must not become a wild write.
inline void expect(bool fits, const char* what) {
    if (!fits) throw std::invalid_argument(std::string("sizes do not fit: expected ") + what);
}

}  // namespace mmb
