// The twins of the engine: Function.apply and the chain rule.
#pragma once
#include <pybind11/pybind11.h>

namespace mmb {
void add_engine(pybind11::module_& m);
}
