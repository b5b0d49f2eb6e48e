// Functions that Python calls without a detour through pybind11.
#pragma once
#include <functional>
#include <new>
#include <stdexcept>
#include <string>

#include "python.hpp"

namespace mmb {

// f(), or null with the error set that it threw.
template <class F>
PyObject* guarded(const F& f) {
    try {
        return f();
    } catch (const PythonError&) {
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::out_of_range& error) {
        PyErr_SetString(PyExc_IndexError, error.what());
    } catch (const std::invalid_argument& error) {
        PyErr_SetString(PyExc_ValueError, error.what());
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    }
    return nullptr;
}

template <class F>
PyCFunction as_function(F* f) {  // of METH_FASTCALL, with or without METH_KEYWORDS
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f));
}

void add_kernels(PyObject* module);   // all functions of kernel_table.hpp
// One of them with its arguments, a tuple, which must outlive it. Raises: std::invalid_argument.
std::function<void()> bound(const std::string& name, PyObject* arguments);
void add_accepted(PyObject* module);  // accepted.cpp: what twins ask of their arguments
void add_engine(PyObject* module);    // the twins of Function.apply and the chain rule

}  // namespace mmb
