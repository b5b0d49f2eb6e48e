// Python's objects where every nanosecond counts: the C API, with references that let go by
// themselves, and NumPy's arrays. A failing call throws PythonError; the entry points return null to
// Python, which finds the error set. pybind11, which takes seconds to compile, is used in
// module.cpp and replay_bindings.cpp only.
#pragma once
#include <Python.h>

#include <initializer_list>
#include <utility>

namespace mmb {

struct PythonError {};  // thrown while Python has an error set

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
        if (!p) throw PythonError();
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
    static Object none() { return borrowed(Py_None); }

  private:
    PyObject* p = nullptr;
};

inline void check(int failed) {
    if (failed < 0) throw PythonError();
}
// Attributes by interned names: what PyObject_GetAttr and PyObject_SetAttr do for these.
inline Object get(PyObject* o, PyObject* name) {
    const auto read = Py_TYPE(o)->tp_getattro;
    return Object::made(read ? read(o, name) : PyObject_GetAttr(o, name));
}
inline void set(PyObject* o, PyObject* name, PyObject* value) {
    const auto write = Py_TYPE(o)->tp_setattro;
    check(write ? write(o, name, value) : PyObject_SetAttr(o, name, value));
}
// object.__new__(cls): tp_alloc alone leaves out the place of the attributes, and the first one makes a dictionary.
inline Object instance(PyTypeObject* cls) {
    static PyObject* const nothing = PyTuple_New(0);
    return Object::made(PyBaseObject_Type.tp_new(cls, nothing, nullptr));
}
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
inline Object pair(Object a, Object b) {
    Object both = Object::made(PyTuple_New(2));
    PyTuple_SET_ITEM(both.get(), 0, a.release());
    PyTuple_SET_ITEM(both.get(), 1, b.release());
    return both;
}
inline Object value_of(PyObject* context_variable) {
    PyObject* value = nullptr;
    check(PyContextVar_Get(context_variable, nullptr, &value));
    return Object::made(value);
}

// Arrays and dtypes as they lie in memory; NumPy keeps these fields where they are, as they are part of
// its binary interface (PyArrayObject_fields, and the head of PyArray_Descr).
struct ArrayFields {
    PyObject_HEAD
    char* data;
    int nd;
    Py_ssize_t* dimensions;
    Py_ssize_t* strides;
    PyObject* base;
    PyObject* descr;
    int flags;
};
struct DtypeFields {
    PyObject_HEAD
    PyTypeObject* scalar;
    char kind, letter, byteorder, flags;
    int number;  // NPY_FLOAT is 11
};
constexpr int in_rows_flag = 0x0001, writeable_flag = 0x0400;

struct NumPy {  // filled in by module.cpp
    PyTypeObject* ndarray;
    PyObject *float32, *float64;  // dtypes
    PyObject* (*new_from_descr)(PyTypeObject*, PyObject*, int, Py_ssize_t const*, Py_ssize_t const*, void*, int, PyObject*);
};
extern NumPy numpy;

inline bool is_array(PyObject* o) { return Py_TYPE(o) == numpy.ndarray; }  // no subclass
inline ArrayFields* array(PyObject* o) { return reinterpret_cast<ArrayFields*>(o); }
inline const DtypeFields* dtype(const ArrayFields* a) { return reinterpret_cast<const DtypeFields*>(a->descr); }
// Bytes of an element of float32 and float64; 0 of anything else. Equal dtypes may be several objects:
// what was pickled comes back with one of its own.
inline int float_bytes(PyObject* o) {
    const DtypeFields* d = dtype(array(o));
    return d->byteorder == '>' ? 0 : d->number == 11 ? 4 : d->number == 12 ? 8 : 0;
}
inline bool in_rows(PyObject* o) { return array(o)->flags & in_rows_flag; }

inline Object empty(int nd, const Py_ssize_t* shape, PyObject* dtype) {
    Py_INCREF(dtype);  // NumPy takes it over
    return Object::made(numpy.new_from_descr(numpy.ndarray, dtype, nd, shape, nullptr, nullptr, 0, nullptr));
}

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
