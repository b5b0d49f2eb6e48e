// What the engine's twins take from the Python side, once, when they are attached.
#pragma once
#include "python/python.hpp"

namespace mmb {

// Attribute names, interned: a lookup then compares pointers.
#define MMB_NAMES(X)                                                                                        \
    X(array) X(edge) X(output_nr) X(_requires_grad) X(_grad_fn) X(_grad) X(_view) X(_leaf) X(function)      \
    X(next_functions) X(outputs) X(time) X(_saved) X(extras) X(kernel) X(backend) X(create_graph) X(hooks) X(origin) \
    X(leaf) X(ready_hooks) X(forward) X(setup_context) X(backward) X(promotion) X(view) X(contiguous)       \
    X(broadcasts) X(arrays_of) X(__name__) X(run) X(release) X(_run_twin) X(cupy) X(y) X(copy) X(_storage)  \
    X(written) X(home) X(memory) X(active) X(step) X(touch) X(version) X(dims) X(keepdim) X(shape)      \
    X(key) X(accepts) X(calls) X(declines) X(composed) X(needs_input_grad) X(_table) X(dtype) X(kind)

struct Names {
#define MMB_NAME(n) PyObject* n = PyUnicode_InternFromString(#n);
    MMB_NAMES(MMB_NAME)
#undef MMB_NAME
};
inline const Names& names() {
    static const Names all;
    return all;
}

// Classes.
#define MMB_ENGINE_TYPES(X) X(Tensor) X(Context) X(AccumulateGrad) X(Output) X(Storage) X(WithExtras) X(Module) X(Parameter)

// Functions of the Python side and what the registry knows (unasked, pin, any_pin, select), and:
//   registry          the namespace of kernels/registry.py
//   fits              (field, value) of a twin that stands in unasked
//   recorder          the namespace of kernels/recorder.py
//   quick_promotions  a set: promotions that keep operands which agree
//   small             {class: (name, forward, backward)} of ops with a twin in small.cpp
//   setups            {class: setup_context} of ops whose setup_context has a twin in apply.cpp
//   setup_nothing     Function.setup_context
//   setup_inputs      Fused.setup_context
//   walks             {name: method} by which Module finds its parameters
//   arrays_of         the function below the classmethod Function.arrays_of
//   start             a node of Python's that stands for the beginning of backward
//   modules           sys.modules
#define MMB_ENGINE_PARTS(X)                                                                                  \
    X(unasked) X(pin) X(any_pin) X(select) X(apply) X(chain_rule) X(fill_gradients) X(gathered) X(noted)     \
    X(clock) X(fitted) X(start) X(refuse_unfit) X(on_device) X(as_array) X(run_hooks) X(recording) X(watching) X(modules)                  \
    X(recorder) X(quick_promotions) X(small) X(setup_nothing) X(arrays_of) X(registry) X(fits) X(count)         \
    X(setups) X(setup_inputs) X(save_for_backward) X(saved_tensors) X(needs_input_grad)   \
    X(require_affine) X(are_usual) X(parameters_of) X(forget_gradients) X(with_gradient) X(walks)

struct Engine {
#define MMB_TYPE(name) PyTypeObject* name;
#define MMB_PART(name) PyObject* name;
    MMB_ENGINE_TYPES(MMB_TYPE)
    MMB_ENGINE_PARTS(MMB_PART)
#undef MMB_TYPE
#undef MMB_PART
};
extern Engine engine;

// Equal dtypes may be several objects: what was pickled comes back with one of its own.
inline bool is_of(PyObject* a, PyObject* dtype) {
    if (array(a)->descr == dtype) return true;
    const int same = PyObject_RichCompareBool(array(a)->descr, dtype, Py_EQ);
    check(same);
    return same;
}
inline bool is_same(PyObject* text, PyObject* other) {  // other: a str
    return text == other || (PyUnicode_Check(text) && PyUnicode_Compare(text, other) == 0);
}

// The twin of a class of ops for a few numbers; null if it has none.
const struct Small* small_of(PyTypeObject* op);

// Its key of the way back in the kernel table; none without a key.
Object backward_key_of(PyTypeObject* op);

struct Arguments {  // of a call; first[-1] is free, as vectorcall likes it
    PyObject* const* first;
    Py_ssize_t positional;
    PyObject* keywords = nullptr;  // names of those that follow
    Object to(PyObject* f) const { return Object::made(PyObject_Vectorcall(f, first, positional | PY_VECTORCALL_ARGUMENTS_OFFSET, keywords)); }
};

// registry.select: the first twin of this key whose attribute `field` is `wanted` and that accepts; else none.
Object chosen(PyObject* key, PyObject* field, PyObject* wanted, const Arguments& arguments);

Object without_cycle(PyObject* result);  // a node's own result, as the node may hold it
Object as_it_was(PyObject* node, PyObject* saved);  // an array, or what is no Tensor; nothing if it may have been written over
Object needs_of(PyObject* edges);  // Context.needs_input_grad

// Whether the Python functions must do the work: anomalies are looked for, or a step is being captured.
bool python_only();

Object edge_of(PyObject* tensor);  // Tensor.edge

PyObject* apply(PyObject*, PyObject* const* arguments, Py_ssize_t count);
PyObject* count(PyObject*, PyObject* const* arguments, Py_ssize_t count);
PyObject* save_for_backward(PyObject*, PyObject* const* arguments, Py_ssize_t count);
PyObject* saved_tensors(PyObject*, PyObject* node);
PyObject* needs_input_grad(PyObject*, PyObject* node);
PyObject* require_affine(PyObject*, PyObject* const* arguments, Py_ssize_t count);
PyObject* are_usual(PyObject*, PyObject* const* arguments, Py_ssize_t count);
PyObject* chain_rule(PyObject*, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords);
PyObject* gathered(PyObject*, PyObject* const* arguments, Py_ssize_t count);
PyObject* noted(PyObject*, PyObject* const* arguments, Py_ssize_t count);
PyObject* parameters_of(PyObject*, PyObject* module);
PyObject* forget_gradients(PyObject*, PyObject* tensors);
PyObject* with_gradient(PyObject*, PyObject* params);
PyObject* alike(PyObject*, PyObject* const* arguments, Py_ssize_t count);
PyObject* all_in_rows(PyObject*, PyObject* arrays);
PyObject* fill_gradients(PyObject*, PyObject* const* arguments, Py_ssize_t count);

}  // namespace mmb
