// The twins of what a training step does with all parameters before anything is computed: to find them
// (nn.module.parameters_of), to forget their gradients, and to see which have one.
#include <unordered_map>
#include <unordered_set>

#include "state.hpp"

namespace mmb {
namespace {

// Whether this class finds its parameters as Module does. Python changes the tag when the class changes.
bool walks_as_written(PyTypeObject* kind) {
    struct Known {
        unsigned tag;
        bool as_written;
    };
    static auto& all = *new std::unordered_map<PyTypeObject*, Known>;  // outlives the interpreter
    const bool has_tag = PyType_HasFeature(kind, Py_TPFLAGS_VALID_VERSION_TAG);
    const auto found = all.find(kind);
    if (found != all.end() && has_tag && found->second.tag == kind->tp_version_tag) return found->second.as_written;
    bool as_written = true;
    PyObject *name, *method;
    for (Py_ssize_t at = 0; PyDict_Next(engine.walks, &at, &name, &method);)
        as_written = as_written && get(reinterpret_cast<PyObject*>(kind), name).get() == method;
    if (PyType_HasFeature(kind, Py_TPFLAGS_VALID_VERSION_TAG)) all[kind] = {kind->tp_version_tag, as_written};
    return as_written;
}

bool is_parameter(PyObject* o) { return PyObject_TypeCheck(o, engine.Parameter); }
bool is_module(PyObject* o) { return PyObject_TypeCheck(o, engine.Module); }

class Finding {
  public:
    Object parameters = Object::made(PyList_New(0));

    // False if Python should look, and perhaps complain.
    bool walk(PyObject* module, int depth = 0) {
        if (!modules.insert(module).second) return true;
        if (depth > 100 || !walks_as_written(Py_TYPE(module))) return false;
        const Object attributes = Object::made(PyObject_GenericGetDict(module, nullptr));
        PyObject *name, *value;
        for (Py_ssize_t at = 0; PyDict_Next(attributes.get(), &at, &name, &value);) {
            if (!PyUnicode_Check(name)) return false;
            if (PyCallable_Check(value) && PyDict_Contains(engine.walks, name)) return false;  // this one walks in its own way
        }
        for (Py_ssize_t at = 0; PyDict_Next(attributes.get(), &at, &name, &value);)
            if (is_parameter(value) && seen.insert(value).second) check(PyList_Append(parameters.get(), value));
        for (Py_ssize_t at = 0; PyDict_Next(attributes.get(), &at, &name, &value);) {
            const bool is_hidden = PyUnicode_GET_LENGTH(name) && PyUnicode_READ_CHAR(name, 0) == '_';
            if (PyDict_Check(value)) {
                if (PyDict_GET_SIZE(value) && !is_hidden) return false;
            } else if (PyList_Check(value) || PyTuple_Check(value)) {
                const Py_ssize_t size = PySequence_Fast_GET_SIZE(value);
                for (Py_ssize_t i = 0; i < size; ++i) {
                    PyObject* inside = PySequence_Fast_GET_ITEM(value, i);
                    if (is_module(inside) || is_parameter(inside)) return false;  // refused, unless hidden
                }
            } else if (is_module(value) && !walk(value, depth + 1)) {
                return false;
            }
        }
        return true;
    }

  private:
    std::unordered_set<PyObject*> modules, seen;
};

// Whether a Tensor is no view, which would have to ask how it was made, and no result, whose `grad` warns.
bool stands_alone(PyObject* o) {
    return PyObject_TypeCheck(o, engine.Tensor) && get(o, names()._view).is_none() && get(o, names()._grad_fn).is_none();
}

bool all_stand_alone(PyObject* tensors) {
    if (!PyList_CheckExact(tensors)) return false;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(tensors); ++i)
        if (!stands_alone(PyList_GET_ITEM(tensors, i))) return false;
    return true;
}

}  // namespace

PyObject* parameters_of(PyObject*, PyObject* module) {
    try {
        Finding found;
        if (!python_only() && is_module(module) && found.walk(module)) return found.parameters.release();
    } catch (const PythonError&) {
        return nullptr;
    }
    return PyObject_CallOneArg(engine.parameters_of, module);
}

PyObject* forget_gradients(PyObject*, PyObject* tensors) {
    const auto& n = names();
    try {
        if (!python_only() && all_stand_alone(tensors)) {
            for (Py_ssize_t i = 0; i < PyList_GET_SIZE(tensors); ++i)
                if (PyObject* t = PyList_GET_ITEM(tensors, i); !get(t, n._grad).is_none()) set(t, n._grad, Py_None);
            Py_RETURN_NONE;
        }
    } catch (const PythonError&) {
        return nullptr;
    }
    return PyObject_CallOneArg(engine.forget_gradients, tensors);
}

PyObject* with_gradient(PyObject*, PyObject* params) {
    try {
        if (!python_only() && all_stand_alone(params)) {
            Object some = Object::made(PyList_New(0));
            for (Py_ssize_t i = 0; i < PyList_GET_SIZE(params); ++i)
                if (PyObject* p = PyList_GET_ITEM(params, i); !get(p, names()._grad).is_none()) check(PyList_Append(some.get(), p));
            return some.release();
        }
    } catch (const PythonError&) {
        return nullptr;
    }
    return PyObject_CallOneArg(engine.with_gradient, params);
}

}  // namespace mmb
