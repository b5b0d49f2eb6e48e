// The twins of what setup_context and backward ask of their Context (autograd/function.py).
#include "state.hpp"

namespace mmb {
namespace {

bool is_context(PyObject* o) { return Py_TYPE(o) == engine.Context; }

// Nothing if Python should do it.
Object kept(PyObject* node, PyObject* const* values, Py_ssize_t count) {
    const auto& n = names();
    Object all = Object::made(PyTuple_New(count));
    for (Py_ssize_t i = 0; i < count; ++i) {
        Object value = Object::borrowed(values[i]);
        if (PyObject_TypeCheck(values[i], engine.Tensor)) {
            if (!get(values[i], n._view).is_none()) return {};
            if (get(values[i], n._grad_fn).get() == node) value = without_cycle(values[i]);
        }
        PyTuple_SET_ITEM(all.get(), i, value.release());
    }
    return all;
}

Object values_for_arrays(PyObject* node) {
    const auto& n = names();
    const Object saved = get(node, n._saved);
    if (is_true(get(node, n.create_graph).get()) || !PyTuple_CheckExact(saved.get())) return {};
    const Py_ssize_t count = PyTuple_GET_SIZE(saved.get());
    Object all = Object::made(PyList_New(count));
    for (Py_ssize_t i = 0; i < count; ++i) {
        Object value = as_it_was(node, PyTuple_GET_ITEM(saved.get(), i));
        if (!value) return {};
        PyList_SET_ITEM(all.get(), i, value.release());
    }
    return all;
}

}  // namespace

Object without_cycle(PyObject* result) {
    const auto& n = names();
    Object own = instance(engine.Output), storage = get(result, n._storage);
    if (storage.is_none()) {  // Tensor.memory
        storage = instance(engine.Storage);
        set(result, n._storage, storage.get());
    }
    set(own.get(), n.array, get(result, n.array).get());
    set(own.get(), n._storage, storage.get());
    set(own.get(), n.output_nr, get(result, n.output_nr).get());
    return own;
}

Object as_it_was(PyObject* node, PyObject* value) {
    const auto& n = names();
    if (!PyObject_TypeCheck(value, engine.Tensor)) return Object::borrowed(value);
    if (const Object storage = get(value, n._storage); !storage.is_none()) {
        const int later = PyObject_RichCompareBool(get(storage.get(), n.written).get(), get(node, n.time).get(), Py_GT);
        check(later);
        if (later || Py_TYPE(storage.get()) != engine.Storage || !get(storage.get(), n.home).is_none()) return {};
    }
    return get(value, n.array);
}

Object needs_of(PyObject* edges) {
    const Py_ssize_t count = PySequence_Fast_GET_SIZE(edges);
    Object needs = Object::made(PyList_New(count));
    for (Py_ssize_t i = 0; i < count; ++i)
        PyList_SET_ITEM(needs.get(), i, PyBool_FromLong(PySequence_Fast_GET_ITEM(edges, i) != Py_None));
    return needs;
}

// save_for_backward(self, *values)
PyObject* save_for_backward(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    try {
        if (count && is_context(arguments[0]))
            if (const Object all = kept(arguments[0], arguments + 1, count - 1)) {
                set(arguments[0], names()._saved, all.get());
                Py_RETURN_NONE;
            }
    } catch (const PythonError&) {
        return nullptr;
    }
    return PyObject_Vectorcall(engine.save_for_backward, arguments, count, nullptr);
}

PyObject* saved_tensors(PyObject*, PyObject* node) {
    try {
        if (is_context(node))
            if (Object all = values_for_arrays(node)) return all.release();
    } catch (const PythonError&) {
        return nullptr;
    }
    return PyObject_CallOneArg(engine.saved_tensors, node);
}

PyObject* needs_input_grad(PyObject*, PyObject* node) {
    try {
        const Object edges = get(node, names().next_functions);
        if (PyList_CheckExact(edges.get())) return needs_of(edges.get()).release();
    } catch (const PythonError&) {
        return nullptr;
    }
    return PyObject_CallOneArg(engine.needs_input_grad, node);
}

}  // namespace mmb
