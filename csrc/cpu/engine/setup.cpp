#include "setup.hpp"

#include <cstring>

namespace mmb {

void keep(PyObject* node, std::initializer_list<PyObject*> values) {
    const Object all = Object::made(PyTuple_New(values.size()));
    Py_ssize_t i = 0;
    for (PyObject* value : values) PyTuple_SET_ITEM(all.get(), i++, Object::borrowed(value).release());
    set(node, names()._saved, all.get());
}

namespace {

PyObject* left(const Call& call) { return call.is_wanted(1) ? call.inputs[0] : Py_None; }
PyObject* right(const Call& call) { return call.is_wanted(0) ? call.inputs[1] : Py_None; }

void keep_factors_and_result(PyObject* node, const Call& call) {
    keep(node, {left(call), right(call), without_cycle(call.result).get()});
}

struct Named {
    const char* op;
    Setup setup;
};
constexpr Named setups[] = {{"Linear", keep_factors}, {"LinearRelu", keep_factors_and_result}};

}  // namespace

void keep_factors(PyObject* node, const Call& call) { keep(node, {left(call), right(call)}); }

void keep_inputs(PyObject* node, const Call& call) {
    const Object all = Object::made(PyTuple_New(call.count));
    for (Py_ssize_t i = 0; i < call.count; ++i) PyTuple_SET_ITEM(all.get(), i, Object::borrowed(call.inputs[i]).release());
    set(node, names()._saved, all.get());
}

Setup setup_named(const char* op) {
    for (const Named& named : setups)
        if (!std::strcmp(named.op, op)) return named.setup;
    return nullptr;
}

}  // namespace mmb
