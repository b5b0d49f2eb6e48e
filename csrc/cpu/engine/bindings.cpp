// engine_twins(parts) hands over what the twins need and returns them.
#include "python/functions.hpp"
#include "state.hpp"

namespace mmb {

Engine engine;

namespace {

PyMethodDef twins[] = {
    {"apply", as_function(apply), METH_FASTCALL, "The twin of Function.apply."},
    {"parameters_of", parameters_of, METH_O, "The twin of nn.module.parameters_of."},
    {"forget_gradients", forget_gradients, METH_O, "The twin of differentiate.forget_gradients."},
    {"with_gradient", with_gradient, METH_O, "The twin of gathering.with_gradient."},
    {"count", as_function(count), METH_FASTCALL, "The twin of registry.count."},
    {"saved_tensors", saved_tensors, METH_O, "The twin of Context.saved_tensors."},
    {"needs_input_grad", needs_input_grad, METH_O, "The twin of Context.needs_input_grad."},
    {"require_affine", as_function(require_affine), METH_FASTCALL, "The twin of the check in ops/linear.py."},
    {"are_usual", as_function(are_usual), METH_FASTCALL, "The twin of the question in ops/cross_entropy.py."},
    {"chain_rule", as_function(chain_rule), METH_FASTCALL | METH_KEYWORDS, "The twin of engine.chain_rule."},
    {"fill_gradients", as_function(fill_gradients), METH_FASTCALL, "The twin of differentiate.fill_gradients."},
    {"gathered", as_function(gathered), METH_FASTCALL, "The twin of gathering.gathered."},
    {"noted", as_function(noted), METH_FASTCALL, "The twin of gathering.noted."},
};

PyMethodDef method = {"save_for_backward", as_function(save_for_backward), METH_FASTCALL, "The twin of Context.save_for_backward."};

// parts: {the name of a field of Engine: what the Python side has there}
PyObject* engine_twins(PyObject*, PyObject* parts) {
    return guarded([&]() -> PyObject* {
        const auto taken = [&](const char* name) {
            PyObject* part = PyMapping_GetItemString(parts, name);
            return Object::made(part).release();  // kept for good
        };
#define MMB_TYPE(name) engine.name = reinterpret_cast<PyTypeObject*>(taken(#name));
#define MMB_PART(name) engine.name = taken(#name);
        MMB_ENGINE_TYPES(MMB_TYPE)
        MMB_ENGINE_PARTS(MMB_PART)
        Object all = Object::made(PyDict_New());
        for (PyMethodDef& d : twins) check(PyDict_SetItemString(all.get(), d.ml_name, Object::made(PyCFunction_New(&d, nullptr)).get()));
        const Object function = Object::made(PyCFunction_New(&method, nullptr)), bound = Object::made(PyInstanceMethod_New(function.get()));
        check(PyDict_SetItemString(all.get(), method.ml_name, bound.get()));
        return all.release();
    });
}

PyMethodDef functions[] = {
    {"engine_twins", engine_twins, METH_O, "The twins of the engine, given what they need of it."},
    {"alike", as_function(alike), METH_FASTCALL, "Whether an optimizer's kernels may take its arrays."},
    {"all_in_rows", all_in_rows, METH_O, "Whether all arrays of a list lie in rows."},
};

}  // namespace

void add_engine(PyObject* module) {
    for (PyMethodDef& d : functions) check(PyObject_SetAttrString(module, d.ml_name, Object::made(PyCFunction_New(&d, nullptr)).get()));
}

}  // namespace mmb
