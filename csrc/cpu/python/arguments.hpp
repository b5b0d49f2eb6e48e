// From Python's objects to the parameters of kernels. read(o, parameter) says whether o is of the kind
// and dtype that the parameter has: if not, the next function of the name is tried. An array of the
// right dtype that lies wrong in memory raises.
#pragma once
#include <array>
#include <optional>
#include <type_traits>
#include <vector>

#include "array.hpp"
#include "python.hpp"

namespace mmb {

struct Dtype {
    char kind;  // 'b' bool, 'i' int, 'u' unsigned, 'f' float
    int bytes;
};
template <class T>
constexpr Dtype dtype_of() {
    using V = std::remove_const_t<T>;
    constexpr char kind = std::is_same<V, bool>::value ? 'b' : std::is_floating_point<V>::value ? 'f' : std::is_signed<V>::value ? 'i' : 'u';
    return {kind, static_cast<int>(sizeof(V))};
}

bool has_dtype(const ArrayFields* a, Dtype dtype);

// How an array must lie, and what is read of it.
enum class Arrangement { rows, strided, matrix, images };
struct Raw {
    void* data = nullptr;
    int ndim = 0;
    Index size = 0;               // of Arrangement::rows; the others have
    const Py_ssize_t* shape = nullptr;
    Index strides[16] = {};  // in elements
};
// False for another dtype or no array. Raises: std::invalid_argument.
bool read_array(PyObject* o, Dtype dtype, bool written, Arrangement how, Raw& raw);

bool read(PyObject* o, bool& value);
bool read(PyObject* o, Index& value);
bool read(PyObject* o, std::uint64_t& value);
bool read(PyObject* o, double& value);

template <class T>
bool read(PyObject* o, Span<T>& value) {
    Raw a;
    if (o == Py_None) return true;
    if (!read_array(o, dtype_of<T>(), !std::is_const<T>::value, Arrangement::rows, a)) return false;
    value = {static_cast<T*>(a.data), a.size};
    return true;
}

template <class T>
bool read(PyObject* o, Strided<T>& value) {
    Raw a;
    if (!read_array(o, dtype_of<T>(), !std::is_const<T>::value, Arrangement::strided, a)) return false;
    value.data = static_cast<T*>(a.data), value.ndim = a.ndim;
    for (int d = 0; d < a.ndim; ++d) value.shape[d] = a.shape[d], value.strides[d] = a.strides[d];
    return true;
}

template <class T>
bool read(PyObject* o, Matrix<T>& value) {
    Raw a;
    if (!read_array(o, dtype_of<T>(), !std::is_const<T>::value, Arrangement::matrix, a)) return false;
    value = {static_cast<T*>(a.data), a.shape[0], a.shape[1], a.strides[0], a.strides[1]};
    return true;
}

template <class T>
bool read(PyObject* o, Images<T>& value) {
    Raw a;
    if (o == Py_None) return true;
    if (!read_array(o, dtype_of<T>(), !std::is_const<T>::value, Arrangement::images, a)) return false;
    value.data = static_cast<T*>(a.data);
    for (int d = 0; d < 4; ++d) value.shape[d] = a.shape[d], value.strides[d] = a.strides[d];
    return true;
}

template <class T>
bool read(PyObject* o, std::optional<T>& value) {
    if (o == Py_None) return true;
    return read(o, value.emplace());
}

template <class T>
bool read(PyObject* o, std::vector<T>& values) {  // a list
    if (!PyList_Check(o)) return false;
    values.resize(PyList_GET_SIZE(o));
    for (std::size_t i = 0; i < values.size(); ++i)
        if (!read(PyList_GET_ITEM(o, i), values[i])) return false;
    return true;
}

template <class T, std::size_t N>
bool read(PyObject* o, std::array<T, N>& values) {  // a tuple of N
    if (!PyTuple_Check(o) || PyTuple_GET_SIZE(o) != static_cast<Py_ssize_t>(N)) return false;
    for (std::size_t i = 0; i < N; ++i)
        if (!read(PyTuple_GET_ITEM(o, i), values[i])) return false;
    return true;
}

// A new array in rows, its elements unset, for a kernel that returns one.
template <class T>
struct Made {
    Object object;
    T* data = nullptr;
    explicit Made(const std::vector<Index>& shape) {
        static_assert(sizeof(Index) == sizeof(Py_ssize_t), "sizes of 64 bits");
        const auto* sizes = reinterpret_cast<const Py_ssize_t*>(shape.data());
        object = empty(static_cast<int>(shape.size()), sizes, sizeof(T) == 4 ? numpy.float32 : numpy.float64);
        data = reinterpret_cast<T*>(array(object.get())->data);
    }
};

}  // namespace mmb
