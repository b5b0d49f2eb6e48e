// The twins of optim/gathering.py, and of the question that the optimizers' kernels ask of their
// arrays: a few hundred parameters cost Python more than the kernel that moves them.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "state.hpp"

namespace mmb {
namespace {

// Storage.touch, of a Tensor's memory
void touch(PyObject* tensor) {
    const auto& n = names();
    Object storage = get(tensor, n._storage);
    if (storage.is_none()) {
        storage = call(reinterpret_cast<PyObject*>(engine.Storage));
        set(tensor, n._storage, storage.get());
    }
    if (Py_TYPE(storage.get()) != engine.Storage) {
        Object::made(PyObject_CallMethodNoArgs(storage.get(), n.touch));
        return;
    }
    set(storage.get(), n.written, call(engine.clock).get());
    const long long version = PyLong_AsLongLong(get(storage.get(), n.version).get());
    set(storage.get(), n.version, Object::made(PyLong_FromLongLong(version + 1)).get());
}

bool is_tensor(PyObject* o) { return o && PyObject_TypeCheck(o, engine.Tensor); }

Object array_of(PyObject* tensor) {  // nothing if it is no array of NumPy
    Object a = get(tensor, names().array);
    return is_array(a.get()) ? a : Object();
}

bool is_count(PyObject* a) {  // of steps
    return array(a)->nd == 0 && float_bytes(a) &&
           (array(a)->flags & writeable_flag);
}
double counted(PyObject* a) {  // one step more
    if (float_bytes(a) == 4) return *reinterpret_cast<float*>(array(a)->data) += 1;
    return *reinterpret_cast<double*>(array(a)->data) += 1;
}

// (thetas, gs, states, ts); nothing if something rare is among them, and then nothing was changed.
Object gathered_arrays(PyObject* params, PyObject* memory, bool counts) {
    const auto& n = names();
    const Py_ssize_t count = PyList_GET_SIZE(params);
    Object thetas = Object::made(PyList_New(0)), gs = Object::made(PyList_New(0)), states = Object::made(PyList_New(0));
    std::vector<PyObject*> steps;  // borrowed from `memory`
    for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject *p = PyList_GET_ITEM(params, i), *kept = PyList_GET_ITEM(memory, i);
        const Object g = get(p, n._grad), theta = array_of(p);
        if (!is_tensor(g.get()) || !theta || !PyDict_CheckExact(kept)) return {};
        const Object slope = array_of(g.get());
        if (!slope) return {};
        check(PyList_Append(thetas.get(), theta.get()));
        check(PyList_Append(gs.get(), slope.get()));
        const Object arrays = Object::made(PyDict_New());
        PyObject *name, *value;
        for (Py_ssize_t at = 0; PyDict_Next(kept, &at, &name, &value);) {
            if (!is_tensor(value)) {
                if (counts && is_same(name, n.step)) return {};
                continue;
            }
            const Object a = array_of(value);
            if (!a) return {};
            if (counts && is_same(name, n.step)) {
                if (!is_count(a.get())) return {};
                steps.push_back(value);
            } else {
                check(PyDict_SetItem(arrays.get(), name, a.get()));
            }
        }
        check(PyList_Append(states.get(), arrays.get()));
    }
    if (counts && static_cast<Py_ssize_t>(steps.size()) != count) return {};
    Object ts = Object::made(PyList_New(0));
    for (PyObject* step : steps) {
        check(PyList_Append(ts.get(), Object::made(PyFloat_FromDouble(counted(array_of(step).get()))).get()));
        touch(step);
    }
    return Object::made(PyTuple_Pack(4, thetas.get(), gs.get(), states.get(), ts.get()));
}

// Whether every state still is the array that it was; then all parameters are noted as written.
bool all_noted(PyObject* params, PyObject* memory, PyObject* states) {
    const Py_ssize_t count = PyList_GET_SIZE(params);
    for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject *name, *value, *kept = PyList_GET_ITEM(memory, i), *state = PyList_GET_ITEM(states, i);
        if (!PyDict_Check(kept) || !PyDict_CheckExact(state)) return false;
        for (Py_ssize_t at = 0; PyDict_Next(state, &at, &name, &value);) {
            PyObject* own = PyDict_GetItemWithError(kept, name);
            if (!is_tensor(own) || get(own, names().array).get() != value) return false;
        }
    }
    for (Py_ssize_t i = 0; i < count; ++i) touch(PyList_GET_ITEM(params, i));
    return true;
}

bool lies_like(PyObject* a, PyObject* theta) {
    return is_array(a) && float_bytes(a) == float_bytes(theta) && array(a)->nd == array(theta)->nd &&
           std::equal(array(a)->dimensions, array(a)->dimensions + array(a)->nd, array(theta)->dimensions);
}

struct Extent {  // the bytes from an array's first element to the end of its last
    const char *first, *end;
    bool written;
    Extent(PyObject* o, int itemsize, bool writes) : first(array(o)->data), end(first + itemsize), written(writes) {
        for (int d = 0; d < array(o)->nd; ++d) {
            const Py_ssize_t n = array(o)->dimensions[d], way = n ? (n - 1) * array(o)->strides[d] : 0;
            (way < 0 ? first : end) += way;
            is_empty = is_empty || n == 0;
        }
    }
    bool is_empty = false;
};

// Whether what is written lies apart from everything else.
bool lie_apart(std::vector<Extent>& extents) {
    std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) { return a.first < b.first; });
    const char *end = nullptr, *end_of_written = nullptr;  // of those before
    for (const Extent& e : extents) {
        if (e.first < (e.written ? end : end_of_written)) return false;
        end = std::max(end, e.end);
        if (e.written) end_of_written = std::max(end_of_written, e.end);
    }
    return true;
}

// Floats of one dtype, in shapes that belong together, in rows (a gradient may lie in any way), and
// nothing that is written over anything else: parameters are moved together, not one after the other.
bool are_alike(PyObject* thetas, PyObject* gs, PyObject* states) {
    std::vector<Extent> extents;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(thetas); ++i) {
        PyObject *theta = PyList_GET_ITEM(thetas, i), *first = PyList_GET_ITEM(thetas, 0), *g = PyList_GET_ITEM(gs, i);
        if (!is_array(theta) || !float_bytes(theta)) return false;
        if (float_bytes(theta) != float_bytes(first) || !in_rows(theta) || !lies_like(g, theta)) return false;
        const int itemsize = float_bytes(theta);
        const auto add = [&](PyObject* o, bool written) {
            extents.emplace_back(o, itemsize, written);
            if (extents.back().is_empty) extents.pop_back();
            return reinterpret_cast<std::uintptr_t>(array(o)->data) % itemsize == 0;
        };
        if (!add(theta, true) || !add(g, false)) return false;
        PyObject *name, *value;
        for (Py_ssize_t at = 0; PyDict_Next(PyList_GET_ITEM(states, i), &at, &name, &value);)
            if (!lies_like(value, theta) || !in_rows(value) || !add(value, true)) return false;
    }
    return lie_apart(extents);
}

bool are_lists(PyObject* const* arguments, Py_ssize_t count) {
    for (Py_ssize_t i = 0; i < count; ++i)
        if (!PyList_CheckExact(arguments[i]) || PyList_GET_SIZE(arguments[i]) != PyList_GET_SIZE(arguments[0])) return false;
    return true;
}

}  // namespace

// gathered(params, memory, counts)
PyObject* gathered(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    try {
        if (count == 3 && are_lists(arguments, 2) && !python_only())
            if (Object all = gathered_arrays(arguments[0], arguments[1], arguments[2] == Py_True)) return all.release();
    } catch (const PythonError&) {
        return nullptr;
    }
    return PyObject_Vectorcall(engine.gathered, arguments, count, nullptr);
}

// noted(params, memory, states)
PyObject* noted(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    try {
        if (count == 3 && are_lists(arguments, 3) && !python_only() && all_noted(arguments[0], arguments[1], arguments[2])) Py_RETURN_NONE;
    } catch (const PythonError&) {
        return nullptr;
    }
    return PyObject_Vectorcall(engine.noted, arguments, count, nullptr);
}

// all_in_rows(arrays): of a list of NumPy's arrays
PyObject* all_in_rows(PyObject*, PyObject* arrays) {
    if (!PyList_CheckExact(arrays)) Py_RETURN_FALSE;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(arrays); ++i)
        if (!is_array(PyList_GET_ITEM(arrays, i)) || !in_rows(PyList_GET_ITEM(arrays, i))) Py_RETURN_FALSE;
    Py_RETURN_TRUE;
}

// alike(thetas, gs, states)
PyObject* alike(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    return PyBool_FromLong(count == 3 && are_lists(arguments, 3) && are_alike(arguments[0], arguments[1], arguments[2]));
}

}  // namespace mmb
