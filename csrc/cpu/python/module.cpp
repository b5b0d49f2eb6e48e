// The module _cpu, linked once for every set of instructions (VARIANTS in setup.py): _cpu for any
// processor, _cpu_avx2, _cpu_avx512. One of them is used in a process; separate modules, as functions
// that two variants both inline would be merged by the linker, and an old processor would meet new
// instructions. What lies in python/ and engine/ is compiled once, for any processor.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "arguments.hpp"
#include "functions.hpp"
#include "pool.hpp"
#include "replay_bindings.hpp"
#include "variant.hpp"

namespace py = pybind11;

namespace mmb {
namespace {

// The variants that this processor and its operating system can run, the fastest first.
py::list supported() {
    py::list names;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma"))
        names.append("avx512");
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) names.append("avx2");
#endif
    names.append("generic");
    return names;
}

void take_numpy() {
    const auto& api = py::detail::npy_api::get();
    numpy.ndarray = api.PyArray_Type_;
    numpy.float32 = py::dtype::of<float>().release().ptr();
    numpy.float64 = py::dtype::of<double>().release().ptr();
    numpy.new_from_descr = api.PyArray_NewFromDescr_;
}

void fill(py::module_& m) {
    take_numpy();
    m.doc() = "C++ twins of ops, and the threads that they share.";
    m.attr("sources") = variant_sources;
    m.attr("isa") = variant_isa;
    m.def("supported", &supported);
    m.def("threads", &threads);
    m.def("set_threads", &set_threads);
    try {
        add_kernels(m.ptr());
        add_accepted(m.ptr());
        add_engine(m.ptr());
    } catch (const PythonError&) {
        throw py::error_already_set();
    }
    add_replay(m);
}

}  // namespace
}  // namespace mmb

PYBIND11_MODULE(_cpu, m) { mmb::fill(m); }
PYBIND11_MODULE(_cpu_avx2, m) { mmb::fill(m); }
PYBIND11_MODULE(_cpu_avx512, m) { mmb::fill(m); }
