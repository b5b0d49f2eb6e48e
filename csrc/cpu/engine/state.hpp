// What the engine's twins take from the Python side, once, when they are attached.
#pragma once
#include "python.hpp"

namespace mmb {

// Attribute names, interned: a lookup then compares pointers.
#define MMB_NAMES(X)                                                                                        \
    X(array) X(edge) X(output_nr) X(_requires_grad) X(_grad_fn) X(_grad) X(_view) X(_leaf) X(function)      \
    X(next_functions) X(outputs) X(time) X(_saved) X(extras) X(kernel) X(backend) X(create_graph) X(hooks) X(origin) \
    X(leaf) X(ready_hooks) X(forward) X(setup_context) X(backward) X(promotion) X(view) X(contiguous)       \
    X(broadcasts) X(arrays_of) X(__name__) X(run) X(release) X(_run_twin) X(cupy) X(y) X(copy) X(_storage)  \
    X(written) X(home) X(memory) X(active) X(step) X(touch) X(version) X(dims) X(keepdim) X(shape)

struct Names {
#define MMB_NAME(n) PyObject* n = PyUnicode_InternFromString(#n);
    MMB_NAMES(MMB_NAME)
#undef MMB_NAME
};
inline const Names& names() {
    static const Names all;
    return all;
}

struct Engine {
    // classes
    PyTypeObject *Tensor, *Context, *AccumulateGrad, *Output, *Storage, *WithExtras;
    // what the registry knows
    PyObject *unasked, *pin, *any_pin, *select;
    // functions of the Python side
    PyObject *apply, *chain_rule, *fill_gradients, *gathered, *noted, *clock, *summed, *cast, *as_array, *run_hooks, *recording, *watching, *modules;
    PyObject* recorder;          // the namespace of kernels/recorder.py
    PyObject *quick_promotions;  // a set: promotions that keep operands which agree
    PyObject *small;             // {class: (name, forward, backward)} of ops with a twin in small.cpp
    PyObject *setup_nothing;     // Function.setup_context
    PyObject *arrays_of;         // the function below the classmethod Function.arrays_of
    PyObject *float32, *float64;
};
extern Engine engine;

// The twin of a class of ops for a few numbers; null if it has none.
const struct Small* small_of(PyTypeObject* op);

// Whether the Python functions must do the work: a GPU may be in play, anomalies are looked for, or a
// step is being captured.
bool python_only();

Object edge_of(PyObject* tensor);  // Tensor.edge

PyObject* apply(PyObject*, PyObject* const* arguments, Py_ssize_t count);
PyObject* chain_rule(PyObject*, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords);
PyObject* gathered(PyObject*, PyObject* const* arguments, Py_ssize_t count);
PyObject* noted(PyObject*, PyObject* const* arguments, Py_ssize_t count);
PyObject* alike(PyObject*, PyObject* const* arguments, Py_ssize_t count);
PyObject* fill_gradients(PyObject*, PyObject* const* arguments, Py_ssize_t count);

}  // namespace mmb
