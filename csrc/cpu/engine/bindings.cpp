// engine_twins(parts) hands over what the twins need and returns them, as functions that Python calls
// without a detour through pybind11.
#include "bindings.hpp"

#include "state.hpp"

namespace mmb {

namespace {

PyObject* kept(const py::dict& parts, const char* name) { return py::object(parts[name]).release().ptr(); }
PyTypeObject* kept_type(const py::dict& parts, const char* name) { return reinterpret_cast<PyTypeObject*>(kept(parts, name)); }

PyMethodDef apply_definition = {"apply", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(apply)), METH_FASTCALL,
                                "The twin of Function.apply."};
PyMethodDef chain_rule_definition = {"chain_rule", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(chain_rule)),
                                     METH_FASTCALL | METH_KEYWORDS, "The twin of engine.chain_rule."};

PyMethodDef fill_gradients_definition = {"fill_gradients", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(fill_gradients)),
                                         METH_FASTCALL, "The twin of differentiate.fill_gradients."};

py::dict engine_twins(const py::dict& parts) {
    Engine& e = engine;
    e.Tensor = kept_type(parts, "Tensor");
    e.Context = kept_type(parts, "Context");
    e.AccumulateGrad = kept_type(parts, "AccumulateGrad");
    e.Output = kept_type(parts, "Output");
    e.Storage = kept_type(parts, "Storage");
    e.WithExtras = kept_type(parts, "WithExtras");
    for (const auto& [to, name] : std::initializer_list<std::pair<PyObject**, const char*>>{
             {&e.unasked, "unasked"}, {&e.pin, "pin"}, {&e.any_pin, "any_pin"}, {&e.select, "select"},
             {&e.apply, "apply"}, {&e.chain_rule, "chain_rule"}, {&e.fill_gradients, "fill_gradients"}, {&e.clock, "clock"}, {&e.summed, "summed"},
             {&e.cast, "cast"}, {&e.as_array, "as_array"}, {&e.run_hooks, "run_hooks"}, {&e.recording, "recording"},
             {&e.watching, "watching"}, {&e.modules, "modules"}, {&e.quick_promotions, "quick_promotions"},
             {&e.recorder, "recorder"}, {&e.small, "small"}, {&e.setup_nothing, "setup_nothing"}, {&e.arrays_of, "arrays_of"}, {&e.float32, "float32"}, {&e.float64, "float64"}})
        *to = kept(parts, name);
    py::dict twins;
    twins["apply"] = py::reinterpret_steal<py::object>(PyCFunction_New(&apply_definition, nullptr));
    twins["chain_rule"] = py::reinterpret_steal<py::object>(PyCFunction_New(&chain_rule_definition, nullptr));
    twins["fill_gradients"] = py::reinterpret_steal<py::object>(PyCFunction_New(&fill_gradients_definition, nullptr));
    return twins;
}

}  // namespace

void add_engine(py::module_& m) { m.def("engine_twins", &engine_twins); }

}  // namespace mmb
