#include "kernel_table.hpp"

#include <map>
#include <new>
#include <string>

#include "functions.hpp"

namespace mmb {
namespace {

// All functions of one name; each is a builtin of Python's whose self is a capsule around this.
struct Named {
    std::vector<const Listed*> functions;
    PyMethodDef definition{};
};

std::map<std::string, Named>& table() {
    static auto& all = *new std::map<std::string, Named>;  // outlives the interpreter
    return all;
}

// "softmax takes no (ndarray of float16, int)"
PyObject* refused(const Named& named, PyObject* const* arguments, Py_ssize_t count) {
    std::string given;
    for (Py_ssize_t i = 0; i < count; ++i) {
        given += (i ? ", " : "") + std::string(Py_TYPE(arguments[i])->tp_name);
        if (!PyObject_TypeCheck(arguments[i], numpy.ndarray)) continue;
        if (PyObject* text = PyObject_Str(array(arguments[i])->descr)) {
            const Object held = Object::made(text);
            if (const char* name = PyUnicode_AsUTF8(text)) given += std::string(" of ") + name;
        }
    }
    if (PyErr_Occurred()) return nullptr;
    return PyErr_Format(PyExc_TypeError, "%s takes no (%s)", named.definition.ml_name, given.c_str());
}

PyObject* call_named(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
    const auto& named = *static_cast<const Named*>(PyCapsule_GetPointer(self, nullptr));
    return guarded([&]() -> PyObject* {
        for (const Listed* function : named.functions)
            if (function->count == count)
                if (Object result = function->call(arguments)) return result.release();
        return refused(named, arguments, count);
    });
}

}  // namespace

std::function<void()> bound(const std::string& name, PyObject* arguments) {
    const auto found = table().find(name);
    if (found == table().end()) throw std::invalid_argument("there is no kernel " + name);
    for (const Listed* function : found->second.functions)
        if (function->bind && function->count == PyTuple_GET_SIZE(arguments))
            if (auto call = function->bind(reinterpret_cast<PyTupleObject*>(arguments)->ob_item)) return call;
    throw std::invalid_argument(name + " cannot be called without Python, or takes other arguments");
}

void add_kernels(PyObject* module) {
    for (const Listed* l = Listed::head(); l; l = l->next) table()[l->name].functions.push_back(l);
    for (auto& [name, named] : table()) {
        named.definition = {name.c_str(), as_function(call_named), METH_FASTCALL, "A kernel: csrc/cpu."};
        const Object self = Object::made(PyCapsule_New(&named, nullptr, nullptr));
        const Object function = Object::made(PyCFunction_New(&named.definition, self.get()));
        check(PyObject_SetAttrString(module, name.c_str(), function.get()));
    }
}

}  // namespace mmb
