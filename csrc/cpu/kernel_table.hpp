// How a kernel file hands its functions to Python: MMB_CPU_KERNEL("adam", adam<float>) at its end.
// Several functions may share a name: the dtypes of a call choose. No list to keep elsewhere.
#pragma once
#include "casters.hpp"

namespace mmb {

struct Listed {  // a list through static objects: whoever links a kernel file has its kernels
    void (*add)(pybind11::module_&);
    const Listed* next;
    explicit Listed(void (*f)(pybind11::module_&)) : add(f), next(head()) { head() = this; }
    static const Listed*& head() {
        static const Listed* first = nullptr;
        return first;
    }
};

}  // namespace mmb

#define MMB_JOIN_(a, b) a##b
#define MMB_JOIN(a, b) MMB_JOIN_(a, b)
// Python's lock is let go while a kernel computes. MMB_CPU_FUNCTION keeps it: for what makes arrays of
// Python's, and lets go of the lock itself.
#define MMB_CPU_KERNEL(name, ...)                                                                           \
    static const ::mmb::Listed MMB_JOIN(listed_, __COUNTER__)([](pybind11::module_& m) {                    \
        m.def(name, __VA_ARGS__, pybind11::call_guard<pybind11::gil_scoped_release>());                     \
    })
#define MMB_CPU_FUNCTION(name, ...) \
    static const ::mmb::Listed MMB_JOIN(listed_, __COUNTER__)([](pybind11::module_& m) { m.def(name, __VA_ARGS__); })
