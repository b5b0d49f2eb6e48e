// The twin of engine.chain_rule (autograd/engine.py) for loss.backward(): every leaf receives its
// gradient, and gradients are arrays. The same walk in the same order; what is rare (hooks, a second
// gradient for a leaf, a shape to sum over, an array of a GPU, an error) is done by the Python functions named in it.
#include <unordered_map>
#include <vector>

#include "small.hpp"

namespace mmb {

namespace {

struct Visit {            // a node on the way
    Object node;          // held while we walk: the graph below it may be freed
    Object edges;         // its next_functions, a list or tuple
    Py_ssize_t awaited = 0;
    bool reached = false;  // some gradient has come
    std::vector<Object> slots;  // one per output
};

class Walk {
  public:
    explicit Walk(bool keep) : retain_graph(keep) {}

    void run(PyObject* roots, PyObject* gs) {
        const Py_ssize_t count = PySequence_Fast_GET_SIZE(roots);
        for (Py_ssize_t i = 0; i < count; ++i) await(PySequence_Fast_GET_ITEM(roots, i));
        for (std::size_t i = 0; i < order.size(); ++i) {  // grows while we walk it
            const Object edges = order[i]->edges;
            const Py_ssize_t n = PySequence_Fast_GET_SIZE(edges.get());
            for (Py_ssize_t k = 0; k < n; ++k)
                if (PyObject* edge = PySequence_Fast_GET_ITEM(edges.get(), k); edge != Py_None) await(edge);
        }
        order.clear();
        for (Py_ssize_t i = 0; i < count; ++i)
            hand_on(engine.start, PySequence_Fast_GET_ITEM(roots, i), Object::borrowed(PySequence_Fast_GET_ITEM(gs, i)));
        while (!ready.empty()) {
            const auto found = visits.find(ready.back());
            ready.pop_back();
            Visit visit = std::move(found->second);
            visits.erase(found);
            if (visit.reached) pass(visit);
            else
                for (Py_ssize_t k = 0; k < PySequence_Fast_GET_SIZE(visit.edges.get()); ++k)
                    if (PyObject* edge = PySequence_Fast_GET_ITEM(visit.edges.get(), k); edge != Py_None) arrive(edge);
            if (!retain_graph) release(visit.node.get());
        }
    }

  private:
    const bool retain_graph;
    std::unordered_map<PyObject*, Visit> visits;
    std::vector<Visit*> order;
    std::vector<PyObject*> ready;

    void await(PyObject* edge) {
        PyObject* node = PyTuple_GET_ITEM(edge, 0);
        Visit& visit = visits[node];
        if (++visit.awaited > 1) return;
        visit.node = Object::borrowed(node);
        static PyObject* const nowhere = PyTuple_New(0);
        visit.edges = Py_TYPE(node) == engine.AccumulateGrad ? Object::borrowed(nowhere) : get(node, names().next_functions);
        if (!PyList_CheckExact(visit.edges.get()) && !PyTuple_CheckExact(visit.edges.get()))
            visit.edges = Object::made(PySequence_List(visit.edges.get()));
        order.push_back(&visit);
    }

    void arrive(PyObject* edge) {  // one gradient fewer to wait for
        PyObject* source = PyTuple_GET_ITEM(edge, 0);
        if (!--visits.find(source)->second.awaited) ready.push_back(source);
    }

    // A gradient, in the shape and dtype of the value that it belongs to, added to what came before.
    void hand_on(PyObject* from, PyObject* edge, Object g) {
        const auto& n = names();
        PyObject* source = PyTuple_GET_ITEM(edge, 0);
        if (!g.is_none()) {
            Visit& visit = visits.find(source)->second;
            const Py_ssize_t k = PyLong_AsSsize_t(PyTuple_GET_ITEM(edge, 1));
            const Object outputs = get(source, n.outputs);
            const Object output = Object::made(PySequence_GetItem(outputs.get(), k));
            PyObject* shape = PyTuple_GET_ITEM(output.get(), 0);
            PyObject* dtype = PyTuple_GET_ITEM(output.get(), 1);
            const bool fits = is_array(g.get()) && has_shape(g.get(), shape) && is_of(g.get(), dtype);
            if (!fits) g = call(engine.fitted, from, g.get(), shape, dtype);
            if (!visit.reached) visit.slots.resize(PySequence_Size(outputs.get()));
            visit.reached = true;
            Object& slot = visit.slots[k];
            if (slot) g = Object::made(PyNumber_Add(slot.get(), g.get()));
            // NumPy makes scalars of 0-d sums
            if (!is_array(g.get()) && PyTuple_GET_SIZE(shape) == 0) g = call(engine.as_array, g.get());
            slot = std::move(g);
        }
        arrive(edge);
    }

    static Object list_of(std::vector<Object>& slots) {  // hands the references over
        Object list = Object::made(PyList_New(slots.size()));
        for (std::size_t k = 0; k < slots.size(); ++k)
            PyList_SET_ITEM(list.get(), k, slots[k] ? slots[k].release() : Object::borrowed(Py_None).release());
        slots.clear();
        return list;
    }

    void pass(Visit& visit) {
        const auto& n = names();
        PyObject* node = visit.node.get();
        if (const Object hooks = get(node, n.hooks); !hooks.is_none()) {
            const Object list = list_of(visit.slots);
            call(engine.run_hooks, hooks.get(), list.get());
            for (Py_ssize_t k = 0; k < PyList_GET_SIZE(list.get()); ++k) {
                PyObject* g = PyList_GET_ITEM(list.get(), k);
                visit.slots.push_back(g == Py_None ? Object() : Object::borrowed(g));
            }
        }
        if (Py_TYPE(node) == engine.AccumulateGrad) return accumulate(visit);
        const Object gxs = Py_TYPE(node) == engine.Context && get(node, n.origin).is_none() ? backward(visit) : in_python(visit);
        const Py_ssize_t count = PySequence_Fast_GET_SIZE(visit.edges.get());
        if (PyTuple_GET_SIZE(gxs.get()) != count) {
            PyErr_Format(PyExc_RuntimeError, "%R returned %zd gradients for %zd inputs", node, PyTuple_GET_SIZE(gxs.get()), count);
            throw PythonError();
        }
        for (Py_ssize_t k = 0; k < count; ++k) {
            PyObject* edge = PySequence_Fast_GET_ITEM(visit.edges.get(), k);
            if (edge == Py_None) continue;
            Object g = Object::borrowed(PyTuple_GET_ITEM(gxs.get(), k));
            hand_on(node, edge, std::move(g));
        }
    }

    static Object in_python(Visit& visit) {  // node.backward(gs), as a tuple
        const Object list = list_of(visit.slots);
        Object result = call(get(visit.node.get(), names().backward).get(), list.get());
        if (PyTuple_CheckExact(result.get())) return result;
        return Object::made(PySequence_Tuple(result.get()));
    }

    // Context._run_twin; false if Python should do it.
    static bool run_twin(const Visit& visit, PyTypeObject* op, PyObject* backend, Object& result) {
        const auto& n = names();
        PyObject* node = visit.node.get();
        const Object key = backward_key_of(op), saved = get(node, n._saved), extras = get(node, n.extras), needs = needs_of(visit.edges.get());
        if (key.is_none() || !PyTuple_CheckExact(saved.get())) return false;
        std::vector<Object> arrays;
        std::vector<PyObject*> given{nullptr};
        for (const Object& g : visit.slots) given.push_back(g ? g.get() : Py_None);
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(saved.get()); ++i) {
            arrays.push_back(as_it_was(node, PyTuple_GET_ITEM(saved.get(), i)));
            if (!arrays.back()) return false;
            given.push_back(arrays.back().get());
        }
        if (!extras.is_none()) given.push_back(extras.get());
        given.push_back(needs.get());
        static PyObject* const keywords = PyTuple_Pack(1, n.needs_input_grad);
        const Arguments arguments{given.data() + 1, static_cast<Py_ssize_t>(given.size()) - 2, keywords};
        const Object twin = chosen(key.get(), n.backend, backend, arguments);
        result = twin.is_none() ? twin : arguments.to(get(twin.get(), n.run).get());
        return true;
    }

    // Context.backward
    static Object backward(Visit& visit) {
        const auto& n = names();
        PyObject* node = visit.node.get();
        const Object kernel = get(node, n.kernel);
        Object result;
        const Object function = get(node, n.function);
        auto* op = reinterpret_cast<PyTypeObject*>(function.get());
        const bool unpinned = value_of(engine.pin).get() == engine.any_pin;
        if (!kernel.is_none()) {
            set(node, n.create_graph, Py_False);
            const Object backend = get(kernel.get(), n.backend);
            if (!unpinned || !run_twin(visit, op, backend.get(), result)) {
                std::vector<Object> copies(visit.slots);
                const Object list = list_of(copies);
                result = call(get(node, n._run_twin).get(), list.get(), backend.get());
            }
            if (result.is_none()) result = {};
        } else if (visit.slots.size() == 1 && unpinned)
            if (const Small* small = small_of(op))
                result = small->backward(node, visit.edges.get(), visit.slots[0].get());
        if (!result) {
            set(node, n.create_graph, Py_False);  // what the rule asks
            std::vector<PyObject*> arguments{nullptr, node};
            for (const Object& g : visit.slots) arguments.push_back(g ? g.get() : Py_None);
            const Object rule = get(function.get(), n.backward);
            result = Object::made(PyObject_Vectorcall(rule.get(), arguments.data() + 1,
                                                      (arguments.size() - 1) | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
        }
        visit.slots.clear();
        if (!PyTuple_CheckExact(result.get())) result = Object::made(PyTuple_Pack(1, result.get()));
        const Py_ssize_t expected = PySequence_Fast_GET_SIZE(visit.edges.get());
        if (PyTuple_GET_SIZE(result.get()) != expected) {
            const Object name = get(function.get(), n.__name__);
            PyErr_Format(PyExc_RuntimeError,
                         "%U.backward returned an incorrect number of gradients (expected %zd, got %zd): one per argument of "
                         "forward, None where there is none.",
                         name.get(), expected, PyTuple_GET_SIZE(result.get()));
            throw PythonError();
        }
        return result;
    }

    // AccumulateGrad.backward, for a leaf's first gradient
    static void accumulate(Visit& visit) {
        const auto& n = names();
        PyObject* node = visit.node.get();
        const Object reference = get(node, n.leaf), hooks = get(node, n.ready_hooks);
        const Object leaf = call(reference.get());
        const bool usual = !leaf.is_none() && is_true(get(leaf.get(), n._requires_grad).get()) &&
                           get(leaf.get(), n._grad_fn).is_none() && get(leaf.get(), n._view).is_none() &&
                           get(leaf.get(), n._grad).is_none() && visit.slots.size() == 1 && is_array(visit.slots[0].get()) &&
                           PyObject_Size(hooks.get()) == 0;
        if (!usual) {
            in_python(visit);
            return;
        }
        Object g = std::move(visit.slots[0]);
        // `owned`: nobody else holds it, and it is no view of other memory
        if (Py_REFCNT(g.get()) > 1 || array(g.get())->base) g = Object::made(PyObject_CallMethodNoArgs(g.get(), n.copy));
        Object t = instance(engine.Tensor);
        set(t.get(), n.array, g.get());
        set(leaf.get(), n._grad, t.get());
    }

    static void release(PyObject* node) {
        const auto& n = names();
        if (Py_TYPE(node) == engine.AccumulateGrad) return;
        if (Py_TYPE(node) != engine.Context) {
            call(get(node, n.release).get());
            return;
        }
        if (const Object saved = get(node, n._saved); !is_true(saved.get())) return;
        set(node, n._saved, Py_None);
        if (!get(node, n.extras).is_none()) set(node, n.extras, Py_None);
    }
};

Object one(PyObject* y) {  // ∂y/∂y of a single number; nothing if y is something else
    const auto* a = array(y);
    if (!float_bytes(y)) return {};
    for (int i = 0; i < a->nd; ++i)
        if (a->dimensions[i] != 1) return {};
    Object g = empty(a->nd, a->dimensions, a->descr);
    if (float_bytes(y) == 4) *reinterpret_cast<float*>(array(g.get())->data) = 1;
    else *reinterpret_cast<double*>(array(g.get())->data) = 1;
    return g;
}

class NotRecording {  // for its lifetime
  public:
    NotRecording() : token(Object::made(PyContextVar_Set(engine.recording, Py_False))) {}
    ~NotRecording() {
        PyObject *type, *value, *traceback;  // of an error on its way to Python
        PyErr_Fetch(&type, &value, &traceback);
        PyContextVar_Reset(engine.recording, token.get());
        PyErr_Restore(type, value, traceback);
    }

  private:
    Object token;
};

// loss.backward(): false if it is anything else.
bool filled(PyObject* const* arguments, Py_ssize_t count) {
    const auto& n = names();
    PyObject* y = arguments[0];
    const bool simple = count == 5 && arguments[1] == Py_None && arguments[3] == Py_False && arguments[4] == Py_None &&
                        Py_TYPE(y) == engine.Tensor;
    if (!simple || python_only() || !is_true(get(y, n._requires_grad).get()) || !get(y, n._view).is_none())
        return false;
    const Object numbers = get(y, n.array);
    const Object g = is_array(numbers.get()) ? one(numbers.get()) : Object();
    if (!g) return false;
    const Object roots = Object::made(PyList_New(1)), gs = Object::made(PyList_New(1));
    PyList_SET_ITEM(roots.get(), 0, edge_of(y).release());
    PyList_SET_ITEM(gs.get(), 0, Object(g).release());
    const bool keep = is_true(arguments[2]);
    const NotRecording now;
    Walk(keep).run(roots.get(), gs.get());
    return true;
}

}  // namespace

// fill_gradients(roots_of, gradient, retain_graph, create_graph, inputs)
PyObject* fill_gradients(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    try {
        if (filled(arguments, count)) Py_RETURN_NONE;
    } catch (const PythonError&) {
        return nullptr;
    }
    return PyObject_Vectorcall(engine.fill_gradients, arguments, count, nullptr);
}

// chain_rule(roots, gs, targets=None, retain_graph=False, stops=frozenset())
PyObject* chain_rule(PyObject*, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    try {
        const bool leaves = !keywords && (count == 2 || (count <= 4 && arguments[2] == Py_None));
        if (leaves && PyList_CheckExact(arguments[0]) && PyList_CheckExact(arguments[1]) && !is_true(value_of(engine.recording).get()) && !python_only()) {
            Walk(count == 4 && is_true(arguments[3])).run(arguments[0], arguments[1]);
            return PyDict_New();
        }
    } catch (const PythonError&) {
        return nullptr;
    }
    return PyObject_Vectorcall(engine.chain_rule, arguments, count, keywords);
}

}  // namespace mmb
