// Twins of checks that nearly every call passes: they say yes at once, or leave it to the Python
// function, which has the words for what is wrong.
#include <cstdint>

#include "python/arguments.hpp"
#include "state.hpp"

namespace mmb {
namespace {

// The array of a Tensor of floats; nothing if this is none.
Object floats_of(PyObject* tensor) {
    if (!PyObject_TypeCheck(tensor, engine.Tensor)) return {};
    Object a = get(tensor, names().array);
    return is_array(a.get()) && float_bytes(a.get()) ? a : Object();
}

bool is_affine(PyObject* input, PyObject* weight, PyObject* bias) {
    const Object held_x = floats_of(input), held_w = floats_of(weight);
    if (!held_x || !held_w) return false;
    const ArrayFields *x = array(held_x.get()), *w = array(held_w.get());
    if (w->nd != 2 || x->nd < 1 || float_bytes(held_x.get()) != float_bytes(held_w.get()) || x->dimensions[x->nd - 1] != w->dimensions[1]) return false;
    if (bias == Py_None) return true;
    const Object held_b = floats_of(bias);
    if (!held_b) return false;
    const ArrayFields* b = array(held_b.get());
    return b->nd == 1 && float_bytes(held_b.get()) == float_bytes(held_w.get()) && b->dimensions[0] == w->dimensions[0];
}

bool is_usual(PyObject* input, PyObject* target) {
    const Object x = floats_of(input);
    if (!x || array(x.get())->nd != 2 || !PyObject_TypeCheck(target, engine.Tensor)) return false;
    const Object t = get(target, names().array);
    return is_array(t.get()) && array(t.get())->nd == 1 && has_dtype(array(t.get()), dtype_of<std::int64_t>()) &&
           array(t.get())->dimensions[0] == array(x.get())->dimensions[0];
}

}  // namespace

// require_affine(input, weight, bias)
PyObject* require_affine(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    try {
        if (count == 3 && is_affine(arguments[0], arguments[1], arguments[2])) Py_RETURN_NONE;
    } catch (const PythonError&) {
        return nullptr;
    }
    return PyObject_Vectorcall(engine.require_affine, arguments, count, nullptr);
}

// are_usual(input, target)
PyObject* are_usual(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    try {
        if (count == 2 && is_usual(arguments[0], arguments[1])) Py_RETURN_TRUE;
    } catch (const PythonError&) {
        return nullptr;
    }
    return PyObject_Vectorcall(engine.are_usual, arguments, count, nullptr);
}

}  // namespace mmb
