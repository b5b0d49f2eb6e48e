// The plan of a captured step as Python hands it over, and the call that runs it.
//
//   replay = native.Replay(buffers, numbers)          once; the instructions are added one by one
//   replay.run(0, 30)                                 at each step: instructions 0 to 29
//
// A run lets go of Python's lock. One thread at a time runs a Replay; several Replays may run at once.
#include <chrono>

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "functions.hpp"
#include "replay_bindings.hpp"
#include "replay/elementwise.hpp"
#include "replay/matrices.hpp"

namespace py = pybind11;

namespace mmb::replay {
namespace {

Buffer buffer_of(const py::array& a) {
    Index end = a.itemsize();
    for (py::ssize_t d = 0; d < a.ndim(); ++d) {
        if (a.strides(d) < 0) return {};  // begins in the middle of its memory: nothing fits into this
        end += (a.shape(d) - 1) * a.strides(d);
    }
    return {static_cast<char*>(const_cast<void*>(a.data())), a.size() ? end : 0, a.writeable()};
}

using Where = std::tuple<Index, Index, std::vector<Index>>;  // buffer, offset, strides
Place place_of(const Where& w) { return {std::get<0>(w), std::get<1>(w), std::get<2>(w)}; }
std::optional<Place> place_of(const std::optional<Where>& w) {
    if (!w) return {};
    return place_of(*w);
}

// ("block",), ("memory", buffer, offset, strides), ("boolean", ...), ("number", k), ("constant", x)
Slot slot_of(const py::tuple& t) {
    const auto kind = t[0].cast<std::string>();
    Slot s;
    if (kind == "block") return s;
    if (kind == "number") return s.kind = Slot::number, s.index = t[1].cast<Index>(), s;
    if (kind == "constant") return s.kind = Slot::constant, s.value = t[1].cast<double>(), s;
    if (kind != "memory" && kind != "boolean") throw std::invalid_argument("there is no slot of kind " + kind);
    s.kind = kind == "memory" ? Slot::memory : Slot::boolean;
    s.place = {t[1].cast<Index>(), t[2].cast<Index>(), t[3].cast<std::vector<Index>>()};
    return s;
}

struct Kernel : Instruction {
    explicit Kernel(std::function<void()> f) : call(std::move(f)) {}
    void run(const Buffers&, const double*) const override { call(); }
    std::function<void()> call;
};

class Replay {
  public:
    // Arrays, or for memory that a call of Python makes anew each time how many bytes it has.
    Replay(const py::list& buffers, const py::array_t<double, py::array::c_style>& numbers) : numbers_(numbers) {
        for (const py::handle b : buffers) {
            const bool there = py::isinstance<py::array>(b);
            buffers_.push_back(there ? buffer_of(py::reinterpret_borrow<py::array>(b)) : Buffer{nullptr, b.cast<Index>(), false});
            arrays_.push_back(there ? py::reinterpret_borrow<py::object>(b) : py::none());
        }
    }

    void elementwise(const std::string& dtype, const std::vector<Index>& shape, const py::list& slots, const std::vector<Step>& steps) {
        std::vector<Slot> made;
        for (const py::handle s : slots) {
            made.push_back(slot_of(s.cast<py::tuple>()));
            expect(made.back().kind != Slot::number || (made.back().index >= 0 && made.back().index < numbers_.size()),
                   "a number of the table");
        }
        for_dtype(dtype, [&](auto x) { return replay::elementwise<decltype(x)>(buffers_, shape, made, steps); });
    }
    void product(const std::string& dtype, const std::vector<Index>& batch, Index m, Index n, Index k, const Where& a,
                 const Where& b, const Where& c, const std::optional<Where>& bias, bool relu, const std::optional<Where>& add,
                 const std::optional<Where>& gate) {
        const After after{place_of(bias), relu, place_of(add), place_of(gate)};
        for_dtype(dtype, [&](auto x) {
            return replay::product<decltype(x)>(buffers_, batch, m, n, k, place_of(a), place_of(b), place_of(c), after);
        });
    }
    void reduction(const std::string& dtype, const std::string& name, Index outer, Index count, Index inner,
                   std::pair<Index, Index> x, std::pair<Index, Index> y) {
        for_dtype(dtype, [&](auto t) {
            const std::vector<Index> dense{sizeof t};
            return replay::reduction<decltype(t)>(buffers_, name, outer, count, inner, {x.first, x.second, dense},
                                                  {y.first, y.second, dense});
        });
    }

    // A kernel of the table, its arguments read now: arrays stay where they are.
    void kernel(const std::string& name, const py::tuple& arguments) {
        try {
            instructions_.push_back(std::make_unique<Kernel>(bound(name, arguments.ptr())));
        } catch (const PythonError&) {
            throw py::error_already_set();
        }
        arrays_.push_back(arguments);
    }

    // Where a call's result lies this time.
    void set(Index buffer, const py::object& result) {
        const py::array array = py::array::ensure(result);
        expect(static_cast<bool>(array), "an array");
        expect(buffer >= 0 && buffer < static_cast<Index>(buffers_.size()), "a buffer of the plan");
        const Buffer now = buffer_of(array);
        expect(now.nbytes >= buffers_[buffer].nbytes, "a result with as many bytes as when the step was traced");
        buffers_[buffer].data = now.data;
        arrays_[buffer] = array;
    }

    void run(std::size_t first, std::size_t end) const {
        expect(first <= end && end <= instructions_.size(), "instructions of the plan");
        for (std::size_t k = first; k < end; ++k)
            for (const Index b : instructions_[k]->awaited) expect(buffers_[b].data, "every result of a call before it is read");
        const double* numbers = numbers_.data();
        const py::gil_scoped_release unlocked;
        for (std::size_t k = first; k < end; ++k) instructions_[k]->run(buffers_, numbers);
    }

    // The same, and how many seconds each instruction took.
    std::vector<double> profile(std::size_t first, std::size_t end) const {
        std::vector<double> seconds;
        for (std::size_t k = first; k < end; ++k) {
            const auto start = std::chrono::steady_clock::now();
            run(k, k + 1);
            seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
        }
        return seconds;
    }

    std::size_t size() const { return instructions_.size(); }

  private:
    template <class F>
    void for_dtype(const std::string& dtype, const F& make) {
        if (dtype == "float32")
            instructions_.push_back(make(float()));
        else if (dtype == "float64")
            instructions_.push_back(make(double()));
        else
            throw std::invalid_argument("a replay computes in float32 and float64, not in " + dtype);
    }

    Buffers buffers_;
    std::vector<py::object> arrays_;  // of the buffers, then the arguments of kernels: kept alive
    py::array_t<double, py::array::c_style> numbers_;
    std::vector<Ready> instructions_;
};

}  // namespace
}  // namespace mmb::replay

void mmb::add_replay(py::module_& m) {
    using replay::Replay;
    m.def("replay_operations", &replay::operations, "What an elementwise program can do.");
    py::class_<Replay>(m, "Replay")
        .def(py::init<const py::list&, const py::array_t<double, py::array::c_style>&>())
        .def("elementwise", &Replay::elementwise)
        .def("product", &Replay::product)
        .def("reduction", &Replay::reduction)
        .def("kernel", &Replay::kernel)
        .def("__setitem__", &Replay::set)
        .def("run", &Replay::run)
        .def("profile", &Replay::profile)
        .def("__len__", &Replay::size);
}
