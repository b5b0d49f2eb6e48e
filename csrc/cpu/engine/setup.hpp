// Twins of setup_context: what the node of a call keeps for the way back.
#pragma once
#include <initializer_list>

#include "state.hpp"

namespace mmb {

struct Call {  // a recorded one
    PyObject* const* inputs;
    const Object* edges;
    Py_ssize_t count;  // of both
    PyObject* result;
    bool is_wanted(Py_ssize_t i) const { return !edges[i].is_none(); }
};

using Setup = void (*)(PyObject* node, const Call& call);

void keep(PyObject* node, std::initializer_list<PyObject*> values);  // save_for_backward of what is no result of this node
void keep_factors(PyObject* node, const Call& call);  // of two inputs, each if the other's gradient is wanted
void keep_inputs(PyObject* node, const Call& call);  // Fused.setup_context
Setup setup_named(const char* op);                   // null: there is none

}  // namespace mmb
