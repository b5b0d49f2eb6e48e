// From Python's objects to array.hpp, for pybind11. Another dtype makes pybind11 try the next
// overload of the name; an array of the right dtype that lies wrong in memory raises.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "array.hpp"

namespace mmb {

template <class T>
bool has_dtype(const pybind11::array& a) {
    using V = std::remove_const_t<T>;
    constexpr char kind = std::is_same<V, bool>::value ? 'b' : std::is_floating_point<V>::value ? 'f' : std::is_signed<V>::value ? 'i' : 'u';
    const auto dtype = a.dtype();
    return dtype.kind() == kind && static_cast<std::size_t>(dtype.itemsize()) == sizeof(V) && dtype.byteorder() != '>';
}

template <class T>
void check_memory(const pybind11::array& a) {
    if (reinterpret_cast<std::uintptr_t>(a.data()) % alignof(T))
        throw std::invalid_argument("the memory of an array is not aligned to its elements. Copy it: x.copy()");
    if (!std::is_const<T>::value && !a.writeable()) throw std::invalid_argument("an array to write to is read-only");
}

}  // namespace mmb

namespace pybind11::detail {

template <class T>
struct type_caster<mmb::Span<T>> {
    PYBIND11_TYPE_CASTER(mmb::Span<T>, const_name("Array"));
    bool load(handle source, bool) {
        if (source.is_none()) return true;
        if (!isinstance<array>(source)) return false;
        const auto a = reinterpret_borrow<array>(source);
        if (!mmb::has_dtype<T>(a)) return false;
        mmb::check_memory<T>(a);
        if (!(a.flags() & array::c_style)) throw std::invalid_argument("an array does not lie in rows. Copy it: np.ascontiguousarray(x)");
        value = {static_cast<T*>(const_cast<void*>(a.data())), a.size()};
        return true;
    }
};

template <class T>
struct type_caster<mmb::Strided<T>> {
    PYBIND11_TYPE_CASTER(mmb::Strided<T>, const_name("Array"));
    bool load(handle source, bool) {
        if (!isinstance<array>(source)) return false;
        const auto a = reinterpret_borrow<array>(source);
        if (!mmb::has_dtype<T>(a)) return false;
        mmb::check_memory<T>(a);
        if (a.ndim() > value.most) throw std::invalid_argument("an array has more than 16 dimensions");
        value.data = static_cast<T*>(const_cast<void*>(a.data()));
        value.ndim = static_cast<int>(a.ndim());
        const mmb::Index size = sizeof(T);
        for (int d = 0; d < value.ndim; ++d) {
            if (a.strides(d) % size) throw std::invalid_argument("the strides of an array are no multiples of its elements. Copy it: x.copy()");
            value.shape[d] = a.shape(d), value.strides[d] = a.strides(d) / size;
        }
        return true;
    }
};

template <class T>
struct type_caster<mmb::Matrix<T>> {
    PYBIND11_TYPE_CASTER(mmb::Matrix<T>, const_name("Matrix"));
    bool load(handle source, bool convert) {
        type_caster<mmb::Strided<T>> any;
        if (!any.load(source, convert)) return false;
        const mmb::Strided<T>& a = any;
        if (a.ndim != 2) throw std::invalid_argument("a matrix has " + std::to_string(a.ndim) + " dimensions, but needs 2");
        value = {a.data, a.shape[0], a.shape[1], a.strides[0], a.strides[1]};
        return true;
    }
};

}  // namespace pybind11::detail
