// engine_twins(parts) hands over what the twins need and returns them, as functions that Python calls
// without a detour through pybind11.
#include "bindings.hpp"

#include "state.hpp"

namespace mmb {

namespace {

PyObject* kept(const py::dict& parts, const char* name) { return py::object(parts[name]).release().ptr(); }
PyTypeObject* kept_type(const py::dict& parts, const char* name) { return reinterpret_cast<PyTypeObject*>(kept(parts, name)); }

template <class F>
PyMethodDef definition(const char* name, F* f, int kind, const char* text) {
    return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f)), kind, text};
}
PyMethodDef definitions[] = {
    definition("apply", apply, METH_FASTCALL, "The twin of Function.apply."),
    definition("chain_rule", chain_rule, METH_FASTCALL | METH_KEYWORDS, "The twin of engine.chain_rule."),
    definition("fill_gradients", fill_gradients, METH_FASTCALL, "The twin of differentiate.fill_gradients."),
    definition("gathered", gathered, METH_FASTCALL, "The twin of gathering.gathered."),
    definition("noted", noted, METH_FASTCALL, "The twin of gathering.noted."),
};

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
             {&e.apply, "apply"}, {&e.chain_rule, "chain_rule"}, {&e.fill_gradients, "fill_gradients"}, {&e.gathered, "gathered"}, {&e.noted, "noted"}, {&e.clock, "clock"}, {&e.summed, "summed"},
             {&e.cast, "cast"}, {&e.as_array, "as_array"}, {&e.run_hooks, "run_hooks"}, {&e.recording, "recording"},
             {&e.watching, "watching"}, {&e.modules, "modules"}, {&e.quick_promotions, "quick_promotions"},
             {&e.recorder, "recorder"}, {&e.small, "small"}, {&e.setup_nothing, "setup_nothing"}, {&e.arrays_of, "arrays_of"}})
        *to = kept(parts, name);
    py::dict twins;
    for (PyMethodDef& d : definitions) twins[d.ml_name] = py::reinterpret_steal<py::object>(PyCFunction_New(&d, nullptr));
    return twins;
}

}  // namespace

namespace {
PyMethodDef alike_definition = definition("alike", alike, METH_FASTCALL, "Whether arrays of an optimizer lie as its kernels read them.");

}

void add_engine(py::module_& m) {
    engine.float32 = py::dtype::of<float>().release().ptr();
    engine.float64 = py::dtype::of<double>().release().ptr();
    m.def("engine_twins", &engine_twins);
    m.attr("alike") = py::reinterpret_steal<py::object>(PyCFunction_New(&alike_definition, nullptr));
}

}  // namespace mmb
