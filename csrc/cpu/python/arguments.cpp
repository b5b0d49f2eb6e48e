#include "arguments.hpp"

namespace mmb {

NumPy numpy;

// By NumPy's numbers: bool, then signed and unsigned char, short, int, long, long long; float, double.
bool has_dtype(const ArrayFields* a, Dtype wanted) {
    static const Dtype known[] = {{'b', 1},
                                  {'i', 1}, {'u', 1}, {'i', sizeof(short)}, {'u', sizeof(short)}, {'i', sizeof(int)}, {'u', sizeof(int)},
                                  {'i', sizeof(long)}, {'u', sizeof(long)}, {'i', sizeof(long long)}, {'u', sizeof(long long)},
                                  {'f', 4}, {'f', 8}};
    const DtypeFields* d = dtype(a);
    if (d->number < 0 || d->number > 12 || d->byteorder == '>') return false;
    return known[d->number].kind == wanted.kind && known[d->number].bytes == wanted.bytes;
}

bool read_array(PyObject* o, Dtype dtype, bool written, Arrangement how, Raw& raw) {
    if (!PyObject_TypeCheck(o, numpy.ndarray)) return false;
    const ArrayFields* a = array(o);
    if (!has_dtype(a, dtype)) return false;
    if (reinterpret_cast<std::uintptr_t>(a->data) % dtype.bytes)
        throw std::invalid_argument("the memory of an array is not aligned to its elements. Copy it: x.copy()");
    if (written && !(a->flags & writeable_flag)) throw std::invalid_argument("an array to write to is read-only");
    raw.data = a->data, raw.ndim = a->nd, raw.shape = a->dimensions;
    if (how == Arrangement::rows) {
        if (!(a->flags & in_rows_flag)) throw std::invalid_argument("an array does not lie in rows. Copy it: np.ascontiguousarray(x)");
        raw.size = 1;
        for (int d = 0; d < a->nd; ++d) raw.size *= a->dimensions[d];
        return true;
    }
    const int most = sizeof raw.strides / sizeof *raw.strides;
    const int exact = how == Arrangement::matrix ? 2 : how == Arrangement::images ? 4 : a->nd;
    if (a->nd != exact)
        throw std::invalid_argument("an array has " + std::to_string(a->nd) + " dimensions, but needs " + std::to_string(exact));
    if (a->nd > most) throw std::invalid_argument("an array has more than 16 dimensions");
    for (int d = 0; d < a->nd; ++d) {
        if (a->strides[d] % dtype.bytes)
            throw std::invalid_argument("the strides of an array are no multiples of its elements. Copy it: x.copy()");
        raw.strides[d] = a->strides[d] / dtype.bytes;
    }
    return true;
}

namespace {

// Whether Python converts o without an error.
template <class T>
bool converted(T value, T failed, T& into) {
    if (value == failed && PyErr_Occurred()) {
        PyErr_Clear();
        return false;
    }
    into = value;
    return true;
}

// An int, or what counts as one (NumPy's integers): its __index__.
template <class T, class F>
bool read_integer(PyObject* o, F convert, T failed, T& value) {
    if (PyLong_Check(o)) return converted<T>(convert(o), failed, value);
    if (!PyIndex_Check(o)) return false;
    PyObject* index = PyNumber_Index(o);
    if (!index) return PyErr_Clear(), false;
    const Object held = Object::made(index);
    return converted<T>(convert(index), failed, value);
}

}  // namespace

bool read(PyObject* o, bool& value) {
    value = o == Py_True;
    return PyBool_Check(o);
}
bool read(PyObject* o, Index& value) {
    static_assert(sizeof(long long) == sizeof(Index), "integers of 64 bits");
    long long n = 0;
    const bool is_one = read_integer<long long>(o, PyLong_AsLongLong, -1, n);
    value = n;
    return is_one;
}
bool read(PyObject* o, std::uint64_t& value) {
    unsigned long long n = 0;
    const bool is_one = read_integer<unsigned long long>(o, PyLong_AsUnsignedLongLong, static_cast<unsigned long long>(-1), n);
    value = n;
    return is_one;
}
bool read(PyObject* o, double& value) {
    if (PyFloat_CheckExact(o)) return value = PyFloat_AS_DOUBLE(o), true;
    return PyNumber_Check(o) && converted<double>(PyFloat_AsDouble(o), -1, value);
}

}  // namespace mmb
