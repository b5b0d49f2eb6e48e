// Twins for a few numbers: where a call of NumPy costs more than the arithmetic, the commonest ops are
// computed here, on floats that lie in rows. Each mirrors its class in ops/, which stays the
// definition, and gives the same bits.
#pragma once
#include "setup.hpp"

namespace mmb {

struct Small {
    const char* name;
    // y from the arguments; nothing if these are not for us
    Object (*forward)(const Object* arrays, Py_ssize_t count);
    Setup setup;  // null if there is nothing to keep
    // a tuple of the inputs' gradients; nothing if Python should do it
    Object (*backward)(PyObject* node, PyObject* edges, PyObject* g);
};

const Small* small_named(const char* name);  // null: there is none

}  // namespace mmb
