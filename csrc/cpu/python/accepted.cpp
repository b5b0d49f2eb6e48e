// What twins ask of their arguments before they take them: `accepts` of kernels/cpu/*.py, in a few
// nanoseconds. Keywords are taken and not looked at: a way back is told which gradients are wanted.
#include "arguments.hpp"
#include "functions.hpp"

namespace mmb {
namespace {

// The size of the elements, if kernels read these: arrays of one dtype, float32 or float64, whose elements
// lie where the processor expects numbers of that size. None is left out. 0: they do not.
int size_of_floats(PyObject* const* values, Py_ssize_t count) {
    int size = 0;
    for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject* value = values[i];
        if (value == Py_None) continue;
        if (!PyObject_TypeCheck(value, numpy.ndarray)) return 0;
        const ArrayFields* a = array(value);
        const int own = has_dtype(a, dtype_of<float>()) ? 4 : has_dtype(a, dtype_of<double>()) ? 8 : 0;
        if (!own || (size && own != size)) return 0;
        size = own;
        if (reinterpret_cast<std::uintptr_t>(a->data) % size) return 0;
        for (int d = 0; d < a->nd; ++d)
            if (a->strides[d] % size) return 0;
    }
    return size;
}

PyObject* are_floats(PyObject*, PyObject* const* values, Py_ssize_t count, PyObject*) {
    return PyBool_FromLong(size_of_floats(values, count) != 0);
}

// A gradient came, and it and what was saved are floats.
PyObject* gradient_is_float(PyObject*, PyObject* const* values, Py_ssize_t count, PyObject*) {
    return PyBool_FromLong(count && values[0] != Py_None && size_of_floats(values, count));
}

// (x, weight, bias, ...): of one dtype, weight a matrix that fits to x, and a number of bias for each of its rows.
PyObject* is_affine(PyObject*, PyObject* const* values, Py_ssize_t count, PyObject*) {
    if (count < 3 || values[0] == Py_None || values[1] == Py_None || !size_of_floats(values, 3)) Py_RETURN_FALSE;
    const ArrayFields *x = array(values[0]), *w = array(values[1]);
    if (w->nd != 2 || x->nd < 1 || x->dimensions[x->nd - 1] != w->dimensions[1]) Py_RETURN_FALSE;
    if (values[2] == Py_None) Py_RETURN_TRUE;
    const ArrayFields* b = array(values[2]);
    return PyBool_FromLong(b->nd == 1 && b->dimensions[0] == w->dimensions[0] && in_rows(values[2]));
}

PyMethodDef functions[] = {
    {"are_floats", as_function(are_floats), METH_FASTCALL | METH_KEYWORDS, "Whether kernels read these arrays."},
    {"gradient_is_float", as_function(gradient_is_float), METH_FASTCALL | METH_KEYWORDS, "The same, of a gradient and what was saved."},
    {"is_affine", as_function(is_affine), METH_FASTCALL | METH_KEYWORDS, "Whether x, weight and bias fit."},
};

}  // namespace

void add_accepted(PyObject* module) {
    for (PyMethodDef& d : functions) check(PyObject_SetAttrString(module, d.ml_name, Object::made(PyCFunction_New(&d, nullptr)).get()));
}

}  // namespace mmb
