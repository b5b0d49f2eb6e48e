// The twins of registry.select, where nothing is pinned, and of registry.count.
#include "state.hpp"

namespace mmb {
namespace {

// One call or decline more. Python's lock is held and no Python code runs in between, so no count is lost.
void note(PyObject* kernel, bool taken) {
    PyObject* field = taken ? names().calls : names().declines;
    const long long before = PyLong_AsLongLong(get(kernel, field).get());
    if (before == -1 && PyErr_Occurred()) throw PythonError();
    set(kernel, field, Object::made(PyLong_FromLongLong(before + 1)).get());
}

}  // namespace

Object chosen(PyObject* key, PyObject* field, PyObject* wanted, const Arguments& arguments) {
    const auto& n = names();
    PyObject* const table = PyDict_GetItemWithError(engine.registry, n._table);
    const Object candidates = table ? Object::borrowed(PyDict_GetItemWithError(table, key)) : Object();
    if (!candidates) {
        if (PyErr_Occurred()) throw PythonError();
        return Object::none();
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(candidates.get()); ++i) {
        const Object twin = Object::borrowed(PyList_GET_ITEM(candidates.get(), i));
        if (!is_same(get(twin.get(), field).get(), wanted)) continue;
        const bool taken = is_true(arguments.to(get(twin.get(), n.accepts).get()).get());
        note(twin.get(), taken);
        if (taken) return twin;
    }
    return Object::none();
}

// count(kernel, taken)
PyObject* count(PyObject*, PyObject* const* arguments, Py_ssize_t given) {
    if (given != 2) return PyErr_Format(PyExc_TypeError, "count takes (kernel, taken)");
    try {
        note(arguments[0], is_true(arguments[1]));
    } catch (const PythonError&) {
        return nullptr;
    }
    Py_RETURN_NONE;
}

}  // namespace mmb
