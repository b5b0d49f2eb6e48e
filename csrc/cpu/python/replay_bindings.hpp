// The class Replay of Python: replay_bindings.cpp.
#pragma once
#include <pybind11/pybind11.h>

namespace mmb {
void add_replay(pybind11::module_& m);
}
