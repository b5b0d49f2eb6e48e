// Python's objects where every nanosecond counts: the C API, with references that let go by
// themselves. Failing calls throw; the entry points hand the error on to Python.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

namespace mmb {

namespace py = pybind11;

class Object {  // one reference, or none
  public:
    Object() = default;
    Object(Object&& other) noexcept : p(other.p) { other.p = nullptr; }
    Object(const Object& other) : p(other.p) { Py_XINCREF(p); }
    Object& operator=(Object other) noexcept {
        std::swap(p, other.p);
        return *this;
    }
    ~Object() { Py_XDECREF(p); }
    PyObject* get() const { return p; }
    PyObject* release() {
        PyObject* given = p;
        p = nullptr;
        return given;
    }
    explicit operator bool() const { return p != nullptr; }
    bool is_none() const { return p == Py_None; }

    // of a call that returns a new reference, or null with an error set
    static Object made(PyObject* p) {
        if (!p) throw py::error_already_set();
        Object o;
        o.p = p;
        return o;
    }
    static Object borrowed(PyObject* p) {
        Object o;
        Py_XINCREF(p);
        o.p = p;
        return o;
    }

  private:
    PyObject* p = nullptr;
};

inline void check(int failed) {
    if (failed < 0) throw py::error_already_set();
}
inline Object get(PyObject* o, PyObject* name) { return Object::made(PyObject_GetAttr(o, name)); }
inline void set(PyObject* o, PyObject* name, PyObject* value) { check(PyObject_SetAttr(o, name, value)); }
inline bool is_true(PyObject* o) {
    if (o == Py_True) return true;
    if (o == Py_False || o == Py_None) return false;
    const int answer = PyObject_IsTrue(o);
    check(answer);
    return answer;
}
template <class... A>
Object call(PyObject* f, A... arguments) {
    PyObject* const all[] = {nullptr, arguments...};
    return Object::made(PyObject_Vectorcall(f, all + 1, sizeof...(A) | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
}
inline Object value_of(PyObject* context_variable) {
    PyObject* value = nullptr;
    check(PyContextVar_Get(context_variable, nullptr, &value));
    return Object::made(value);
}

// Arrays, as NumPy lays them out (pybind11 knows its structures).
inline PyTypeObject* array_type() { return py::detail::npy_api::get().PyArray_Type_; }
inline bool is_array(PyObject* o) { return Py_TYPE(o) == array_type(); }  // no subclass
inline py::detail::PyArray_Proxy* array(PyObject* o) { return py::detail::array_proxy(o); }
inline bool in_rows(PyObject* o) { return array(o)->flags & py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_; }

inline Object shape_of(PyObject* o) {
    const auto* a = array(o);
    Object shape = Object::made(PyTuple_New(a->nd));
    for (int i = 0; i < a->nd; ++i) PyTuple_SET_ITEM(shape.get(), i, PyLong_FromSsize_t(a->dimensions[i]));
    return shape;
}
inline bool has_shape(PyObject* o, PyObject* shape) {  // a tuple of ints
    const auto* a = array(o);
    if (PyTuple_GET_SIZE(shape) != a->nd) return false;
    for (int i = 0; i < a->nd; ++i)
        if (PyLong_AsSsize_t(PyTuple_GET_ITEM(shape, i)) != a->dimensions[i]) return false;
    return true;
}

}  // namespace mmb
