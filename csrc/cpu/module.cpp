// The module _cpu, compiled once for every set of instructions (VARIANTS in setup.py): _cpu for any
// processor, _cpu_avx2, _cpu_avx512. One of them is used in a process; separate modules, as functions
// that two variants both inline would be merged by the linker, and an old processor would meet new
// instructions.
#include "kernel_table.hpp"
#include "engine/bindings.hpp"
#include "pool.hpp"

namespace py = pybind11;

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

// Whether kernels read these, None left out: arrays of one dtype, float32 or float64, whose elements lie
// where the processor expects numbers of that size.
bool are_floats(py::handle a, py::handle b, py::handle c, py::handle d, py::handle e) {
    py::ssize_t size = 0;
    for (const py::handle value : {a, b, c, d, e}) {
        if (value.is_none()) continue;
        if (!py::isinstance<py::array>(value)) return false;
        const auto array = py::reinterpret_borrow<py::array>(value);
        const py::ssize_t own = array.itemsize();
        if (!(size == 0 || own == size) || !(mmb::has_dtype<float>(array) || mmb::has_dtype<double>(array))) return false;
        size = own;
        if (reinterpret_cast<std::uintptr_t>(array.data()) % size) return false;
        for (py::ssize_t i = 0; i < array.ndim(); ++i)
            if (array.strides(i) % size) return false;
    }
    return size != 0;
}

}  // namespace

#define MMB_TEXT_OF(x) #x
#define MMB_TEXT(x) MMB_TEXT_OF(x)

PYBIND11_MODULE(MMB_MODULE, m) {
    m.doc() = "C++ twins of ops, and the threads that they share.";
    m.attr("sources") = MMB_TEXT(MMB_SOURCES);
    m.attr("isa") = MMB_TEXT(MMB_ISA);
    m.def("supported", &supported);
    m.def("are_floats", &are_floats, py::arg(), py::arg() = py::none(), py::arg() = py::none(), py::arg() = py::none(),
          py::arg() = py::none());
    m.def("threads", &mmb::threads);
    m.def("set_threads", &mmb::set_threads);
    mmb::add_engine(m);
    for (const mmb::Listed* l = mmb::Listed::head(); l; l = l->next) l->add(m);
}
