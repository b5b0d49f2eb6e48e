// Python's way to the kernels of the table, one source for both modules:
//
//   MMB_MODULE=_cuda      MMB_CUDA is defined; launches go to cudaLaunchKernel
//   MMB_MODULE=_emulator  launches go to csrc/emulator/api.h
//
// This file is compiled by g++ and never by nvcc, which would read pybind11 once for every
// architecture. Arrays come as addresses: what they are was looked at in Python.
#include <pybind11/pybind11.h>

#include <cmath>
#include <cstring>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernel_table.hpp"
#if defined(MMB_CUDA)
#include <cuda_runtime_api.h>
#else
#include "api.h"
#endif

namespace py = pybind11;
using mmb::Entry;
using mmb::Kind;
using mmb::Parameter;

namespace {

// "p" pointer, "P" pointer to const, "i4" an integer, "f8" a real number, "o64" an object by value
std::string kind(const Parameter& p) {
    if (p.kind == Kind::pointer) return p.read_only ? "P" : "p";
    return static_cast<char>(p.kind) + std::to_string(p.size);
}

std::unordered_map<std::string, const Entry*> table() {
    std::unordered_map<std::string, const Entry*> kernels;
    for (const mmb::Listed* l = mmb::Listed::head(); l; l = l->next)
        if (!kernels.emplace(l->entry.name, &l->entry).second)
            throw py::import_error(std::string("two kernels are listed under the name ") + l->entry.name +
                                   ". Rename one of them where MMB_KERNEL lists it.");
    return kernels;
}

const std::unordered_map<std::string, const Entry*>& kernels() {
    static const auto found = table();
    return found;
}

std::string in_words(const Parameter& p) {
    const std::string bytes = std::to_string(p.size) + " bytes";
    if (p.kind == Kind::pointer) return "a pointer: an address as an int, or None";
    if (p.kind == Kind::real) return "a floating-point number of " + bytes;
    if (p.kind == Kind::object) return "an object by value: bytes, " + std::to_string(p.size) + " of them";
    return (p.is_signed ? "a signed integer of " : "an unsigned integer of ") + bytes;
}

[[noreturn]] void refuse(const Entry& kernel, int i, py::handle value, const char* why = "") {
    throw py::type_error("kernel " + std::string(kernel.name) + ": argument " + std::to_string(i) + " is " +
                         py::repr(value).cast<std::string>() + " (" + Py_TYPE(value.ptr())->tp_name +
                         "), but the kernel takes " + in_words(kernel.parameters[i]) + why);
}

constexpr const char* too_large = ", into which it does not fit";

bool is_python_number(py::handle value) {
    return PyLong_CheckExact(value.ptr()) || PyFloat_CheckExact(value.ptr());
}

// A NumPy scalar has a C type, which must be the kernel's: its size, and one of the kinds that
// Python's struct module writes as `formats`. The value as a Python number.
py::object scalar(const Entry& kernel, int i, py::handle value, const char* formats) {
    Py_buffer memory;
    if (PyObject_GetBuffer(value.ptr(), &memory, PyBUF_FORMAT)) {
        PyErr_Clear();
        refuse(kernel, i, value);
    }
    const bool fits = memory.ndim == 0 && memory.format && std::strchr(formats, memory.format[0]) &&
                      static_cast<std::size_t>(memory.itemsize) == kernel.parameters[i].size;
    PyBuffer_Release(&memory);
    if (!fits) refuse(kernel, i, value);
    return py::reinterpret_steal<py::object>(std::strchr("fd", formats[0]) ? PyNumber_Float(value.ptr())
                                                                           : PyNumber_Long(value.ptr()));
}

void write_integer(const Entry& kernel, int i, py::handle value, unsigned char* to) {
    const Parameter& p = kernel.parameters[i];
    const bool plain = is_python_number(value);
    const py::object v = plain ? py::reinterpret_borrow<py::object>(value) : scalar(kernel, i, value, "bhilqBHILQ?");
    if (!PyLong_Check(v.ptr())) refuse(kernel, i, value);
    const int bits = 8 * static_cast<int>(p.size) - (p.is_signed ? 1 : 0);  // of its magnitude
    int overflow = 0;
    const long long n = PyLong_AsLongLongAndOverflow(v.ptr(), &overflow);
    auto stored = static_cast<unsigned long long>(n);
    const bool huge = overflow > 0 && bits == 64;  // from 2^63 on
    if (huge) {
        stored = PyLong_AsUnsignedLongLong(v.ptr());
        overflow = PyErr_Occurred() ? 1 : 0;
        PyErr_Clear();
    }
    const bool above = bits < 63 && n >= 1LL << bits;
    const bool below = p.is_signed && bits < 63 && n < -(1LL << bits);
    const bool negative = !p.is_signed && plain && !huge && n < 0;  // int64(-1) is a uint64 of ones
    if (overflow || above || below || negative) refuse(kernel, i, value, too_large);
    std::memcpy(to, &stored, p.size);  // little endian: the low bytes come first
}

void write_real(const Entry& kernel, int i, py::handle value, unsigned char* to) {
    const bool plain = is_python_number(value);
    const double wide = (plain ? py::reinterpret_borrow<py::object>(value) : scalar(kernel, i, value, "fd")).cast<double>();
    if (kernel.parameters[i].size == sizeof wide) {
        std::memcpy(to, &wide, sizeof wide);
        return;
    }
    const auto narrow = static_cast<float>(wide);
    if (std::isinf(narrow) && std::isfinite(wide)) refuse(kernel, i, value, too_large);
    std::memcpy(to, &narrow, sizeof narrow);
}

void write_pointer(const Entry& kernel, int i, py::handle value, unsigned char* to) {
    std::size_t address = 0;
    if (!value.is_none()) {
        if (!PyLong_CheckExact(value.ptr())) refuse(kernel, i, value);
        address = PyLong_AsSize_t(value.ptr());
        if (PyErr_Occurred()) {
            PyErr_Clear();
            refuse(kernel, i, value, too_large);
        }
    }
    std::memcpy(to, &address, sizeof address);
}

void write_object(const Entry& kernel, int i, py::handle value, unsigned char* to) {
    const Parameter& p = kernel.parameters[i];
    if (!PyBytes_Check(value.ptr()) || static_cast<std::size_t>(PyBytes_GET_SIZE(value.ptr())) != p.size)
        refuse(kernel, i, value);
    std::memcpy(to, PyBytes_AS_STRING(value.ptr()), p.size);
}

// The values of a launch in memory, and their addresses, as cudaLaunchKernel wants them.
struct Arguments {
    std::vector<unsigned char> memory;
    std::vector<void*> addresses;

    Arguments(const Entry& kernel, const py::tuple& values) {
        if (static_cast<int>(values.size()) != kernel.count)
            throw py::type_error("kernel " + std::string(kernel.name) + " takes " + std::to_string(kernel.count) +
                                 " arguments, but got " + std::to_string(values.size()));
        constexpr std::size_t alignment = 64;  // of a tensor map; nothing asks for more
        const auto room = [](std::size_t size) { return (size + alignment - 1) / alignment * alignment; };
        std::size_t total = alignment;
        for (int i = 0; i < kernel.count; ++i) total += room(kernel.parameters[i].size);
        memory.resize(total);
        addresses.resize(kernel.count);
        auto* next = memory.data() + (alignment - reinterpret_cast<std::uintptr_t>(memory.data()) % alignment) % alignment;
        for (int i = 0; i < kernel.count; ++i) {
            const Parameter& p = kernel.parameters[i];
            const py::handle value = values[i];
            if (p.kind == Kind::pointer) write_pointer(kernel, i, value, next);
            if (p.kind == Kind::integer) write_integer(kernel, i, value, next);
            if (p.kind == Kind::real) write_real(kernel, i, value, next);
            if (p.kind == Kind::object) write_object(kernel, i, value, next);
            addresses[i] = next;
            next += room(p.size);
        }
    }
};

struct Size {  // of a grid or a block
    unsigned n[3] = {1, 1, 1};

    Size(const char* what, const py::tuple& sizes) {
        if (sizes.size() < 1 || sizes.size() > 3)
            throw py::type_error(std::string(what) + " has " + std::to_string(sizes.size()) + " numbers, but must have one to three");
        for (std::size_t i = 0; i < sizes.size(); ++i) n[i] = sizes[i].cast<unsigned>();
    }
};

const Entry& entry(const std::string& name) {
    const auto found = kernels().find(name);
    if (found == kernels().end())
        throw py::key_error("no kernel is listed under the name " + name + ". MMB_KERNEL in its source lists a kernel.");
    return *found->second;
}

#if defined(MMB_CUDA)

std::string described(cudaError_t error) {
    if (error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver)
        return "there is no NVIDIA GPU here, or its driver is missing or older than CUDA " +
               std::to_string(CUDART_VERSION / 1000) + "." + std::to_string(CUDART_VERSION % 1000 / 10) +
               ", for which the kernels were built (" + cudaGetErrorName(error) + ")";
    return std::string(cudaGetErrorName(error)) + ": " + cudaGetErrorString(error);
}

void check(cudaError_t error, const Entry& kernel) {
    if (error == cudaSuccess) return;
    cudaGetLastError();  // the error is told once; the next launch starts clean
    throw std::runtime_error("kernel " + std::string(kernel.name) + ": " + described(error));
}

// More than 48 KiB of shared memory in a block must be asked for, once per kernel and device.
void allow_shared(const Entry& kernel, std::size_t dynamic, int device) {
    constexpr std::size_t unasked = 48 * 1024;
    static std::unordered_map<std::string, std::size_t> allowed;
    std::size_t& largest = allowed[std::to_string(device) + kernel.name];  // guarded by Python's lock
    if (dynamic <= largest) return;
    cudaFuncAttributes attributes;
    const auto* function = reinterpret_cast<const void*>(kernel.kernel);
    check(cudaFuncGetAttributes(&attributes, function), kernel);
    if (attributes.sharedSizeBytes + dynamic > unasked)
        check(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(dynamic)),
              kernel);
    largest = dynamic;
}

void run(const Entry& kernel, const Size& grid, const Size& block, std::size_t shared, std::uintptr_t stream,
         Arguments& arguments, int device) {
    check(cudaSetDevice(device), kernel);  // CuPy's runtime is another, and has a current device of its own
    if (shared) allow_shared(kernel, shared, device);
    cudaError_t error;
    {
        py::gil_scoped_release others;  // a full queue makes the launch wait
        error = cudaLaunchKernel(reinterpret_cast<const void*>(kernel.kernel), dim3(grid.n[0], grid.n[1], grid.n[2]),
                                 dim3(block.n[0], block.n[1], block.n[2]), arguments.addresses.data(), shared,
                                 reinterpret_cast<cudaStream_t>(stream));
    }
    check(error, kernel);
}

int device_count() {
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

#else

// Python's lock is held: the emulator runs one launch at a time.
void run(const Entry& kernel, const Size& grid, const Size& block, std::size_t shared, std::uintptr_t,
         Arguments& arguments, int) {
    if (mmb_launch(kernel.name, grid.n, block.n, shared, arguments.addresses.data()))
        throw std::runtime_error("kernel " + std::string(kernel.name) + ": " + mmb_error());
}

#endif

void launch(const std::string& name, const py::tuple& grid, const py::tuple& block, std::size_t shared,
            std::uintptr_t stream, const py::tuple& values, int device) {
    const Entry& kernel = entry(name);
    Arguments arguments(kernel, values);
    run(kernel, Size("grid", grid), Size("block", block), shared, stream, arguments, device);
}

}  // namespace

#define MMB_TEXT_OF(x) #x
#define MMB_TEXT(x) MMB_TEXT_OF(x)

PYBIND11_MODULE(MMB_MODULE, m) {
    kernels();
    m.doc() = "The handwritten CUDA kernels: kernels() lists them, launch() runs one.";
    m.def("kernels", [] {
        py::dict all;
        for (const auto& [name, kernel] : kernels()) {
            py::list kinds;
            for (int i = 0; i < kernel->count; ++i) kinds.append(kind(kernel->parameters[i]));
            all[py::str(name)] = kinds;
        }
        return all;
    });
    m.def("launch", &launch, py::arg("name"), py::arg("grid"), py::arg("block"), py::arg("shared"), py::arg("stream"),
          py::arg("arguments"), py::arg("device") = 0);
    m.attr("sources") = MMB_TEXT(MMB_SOURCES);  // digest of what it was built from
#if defined(MMB_CUDA)
    m.def("device_count", &device_count);
    m.def("architectures", [] { return py::str(MMB_TEXT(MMB_ARCHITECTURES)).attr("split")("."); });
#else
    m.def("option", [](const std::string& name, long value) { mmb_option(name.c_str(), value); });
#endif
}
