// The twin of Function.apply (autograd/function.py): the same steps in the same order, for what nearly
// every call is; whatever else comes (a GPU, a view, an error) goes to the Python function.
#include <unordered_map>

#include "setup.hpp"
#include "small.hpp"

namespace mmb {

namespace {

struct Op {  // what apply asks of a class, looked up once; Python changes the tag when the class changes
    unsigned tag = 0;
    bool plain = false, keeps_operands = false, contiguous = false, broadcasts = false;
    const Small* small = nullptr;
    Setup setup = nullptr;  // the twin of setup_context
    Object key, backward_key, forward, setup_context, promotion;
};

const Op& op_of(PyTypeObject* cls) {
    static auto& known = *new std::unordered_map<PyTypeObject*, Op>;  // outlives the interpreter
    Op& op = known[cls];
    if (op.tag && op.tag == cls->tp_version_tag && PyType_HasFeature(cls, Py_TPFLAGS_VALID_VERSION_TAG)) return op;
    const auto& n = names();
    auto* c = reinterpret_cast<PyObject*>(cls);
    op.key = get(c, n.key);
    op.backward_key = op.key.is_none() ? Object::none() : Object::made(PyUnicode_FromFormat("%U.backward", op.key.get()));
    op.forward = get(c, n.forward);
    op.setup_context = get(c, n.setup_context);
    op.setup = op.setup_context.get() == engine.setup_inputs ? keep_inputs : nullptr;
    if (PyDict_GetItemWithError(engine.setups, c) == op.setup_context.get()) op.setup = setup_named(PyUnicode_AsUTF8(op.key.get()));
    if (op.setup_context.get() == engine.setup_nothing) op.setup_context = {};
    op.promotion = get(c, n.promotion);
    const int quick = op.promotion.is_none() ? 1 : PySet_Contains(engine.quick_promotions, op.promotion.get());
    check(quick);
    op.keeps_operands = quick;
    op.contiguous = is_true(get(c, n.contiguous).get());
    op.broadcasts = is_true(get(c, n.broadcasts).get());
    const Object laid_out = get(c, n.arrays_of);  // a bound method
    const bool usual = PyMethod_Check(laid_out.get()) && PyMethod_GET_FUNCTION(laid_out.get()) == engine.arrays_of;
    op.plain = usual && !is_true(get(c, n.view).get());
    op.small = nullptr;
    if (PyObject* own = PyDict_GetItemWithError(engine.small, c)) {  // unless someone has put in a rule of his own
        const Object backward = get(c, n.backward);
        if (PyTuple_GET_ITEM(own, 0) == op.forward.get() && PyTuple_GET_ITEM(own, 1) == backward.get())
            op.small = small_named(PyUnicode_AsUTF8(op.key.get()));
    }
    op.tag = PyType_HasFeature(cls, Py_TPFLAGS_VALID_VERSION_TAG) ? cls->tp_version_tag : 0;
    return op;
}

// promotion.agree: whether NumPy computes in PyTorch's dtype anyway. Arrays of one float dtype, and
// floats of Python; anything rarer is asked in Python.
bool agree(const Object* arrays, Py_ssize_t count) {
    PyObject* dtype = nullptr;
    for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject* a = arrays[i].get();
        if (PyFloat_CheckExact(a)) continue;
        if (!is_array(a)) return false;
        PyObject* own = array(a)->descr;
        if (own != numpy.float32 && own != numpy.float64) return false;
        if (dtype && own != dtype) return false;
        dtype = own;
    }
    return dtype != nullptr;
}

Object list_of(const Object* items, Py_ssize_t count) {
    Object list = Object::made(PyList_New(count));
    for (Py_ssize_t i = 0; i < count; ++i) PyList_SET_ITEM(list.get(), i, Object(items[i]).release());
    return list;
}
Object tuple_of(const Object* items, Py_ssize_t count) {
    Object tuple = Object::made(PyTuple_New(count));
    for (Py_ssize_t i = 0; i < count; ++i) PyTuple_SET_ITEM(tuple.get(), i, Object(items[i]).release());
    return tuple;
}

bool lies_as_asked(const Op& op, PyObject* y, const Object* arrays, Py_ssize_t count) {
    if (!is_array(y) || !in_rows(y)) return false;
    if (op.broadcasts && array(y)->nd > 1)
        for (Py_ssize_t i = 0; i < count; ++i)
            if (is_array(arrays[i].get()) && !in_rows(arrays[i].get())) return false;
    return true;
}

Object fresh(PyTypeObject* cls) { return Object::made(cls->tp_alloc(cls, 0)); }

Object wrapped(const Object& y, const Object& node, Py_ssize_t k) {
    const auto& n = names();
    Object t = fresh(engine.Tensor);
    set(t.get(), n.array, y.get());
    if (node && dtype(array(y.get()))->kind == 'f') {
        set(t.get(), n._requires_grad, Py_True);
        set(t.get(), n._grad_fn, node.get());
        if (k) set(t.get(), n.output_nr, Object::made(PyLong_FromSsize_t(k)).get());
    }
    return t;
}

constexpr Py_ssize_t most = 16;  // arguments of an op

// Null without an error set: let Python do it. `define`: without a twin, run the definition.
Object applied(PyObject* const* arguments, Py_ssize_t count, bool define) {
    const auto& n = names();
    auto* cls = reinterpret_cast<PyTypeObject*>(arguments[0]);
    PyObject* const* inputs = arguments + 1;
    --count;
    if (count > most || python_only()) return {};
    const Op& op = op_of(cls);
    if (!op.plain) return {};

    Object arrays[most], edges[most];
    const bool record = is_true(value_of(engine.recording).get());
    bool lifted = false, recorded = false;
    for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject* x = inputs[i];
        edges[i] = Object::borrowed(Py_None);
        if (!PyObject_TypeCheck(x, engine.Tensor)) {
            arrays[i] = Object::borrowed(x);
            continue;
        }
        lifted = true;
        arrays[i] = get(x, n.array);
        if (!is_array(arrays[i].get())) return {};
        if (record && is_true(get(x, n._requires_grad).get())) {
            edges[i] = edge_of(x);
            recorded = true;
        }
    }
    if (!op.promotion.is_none() && !(op.keeps_operands && agree(arrays, count))) {
        const Object met = call(op.promotion.get(), list_of(arrays, count).get());
        if (!PyList_CheckExact(met.get()) || PyList_GET_SIZE(met.get()) != count) return {};
        for (Py_ssize_t i = 0; i < count; ++i) arrays[i] = Object::borrowed(PyList_GET_ITEM(met.get(), i));
    }

    const Object pin = value_of(engine.pin);
    const bool is_free = pin.get() == engine.any_pin;
    Object kernel = Object::borrowed(Py_None), output;
    const Small* small = is_free ? op.small : nullptr;  // a few numbers, before anyone looks for a twin
    if (small && !(output = small->forward(arrays, count))) small = nullptr;
    if (!small) {
        const int unasked = PySet_Contains(engine.unasked, op.key.get());
        check(unasked);
        PyObject* given[most + 1];
        for (Py_ssize_t i = 0; i < count; ++i) given[i + 1] = arrays[i].get();
        const Arguments numbers{given + 1, count};
        if (!is_free) kernel = call(engine.select, op.key.get(), list_of(arrays, count).get());
        else if (unasked) kernel = chosen(op.key.get(), PyTuple_GET_ITEM(engine.fits, 0), PyTuple_GET_ITEM(engine.fits, 1), numbers);
        if (kernel.is_none() && define) {  // Composite.apply
            Object y = Object::made(PyObject_Vectorcall(get(arguments[0], n.definition).get(), inputs, count, nullptr));
            return PyObject_TypeCheck(y.get(), engine.Tensor) ? y : call(engine.as_array, y.get());
        }
        const Object compute = kernel.is_none() ? op.forward : get(kernel.get(), n.run);
        output = numbers.to(compute.get());
    }

    Object extras = Object::borrowed(Py_None);
    if (Py_TYPE(output.get()) == engine.WithExtras) {
        extras = get(output.get(), n.extras);
        output = get(output.get(), n.y);
    }
    const bool many = PyTuple_CheckExact(output.get());
    const Py_ssize_t returned = many ? PyTuple_GET_SIZE(output.get()) : 1;
    Object ys[most];
    if (returned > most) return {};
    bool laid = true;
    for (Py_ssize_t k = 0; k < returned; ++k) {
        ys[k] = many ? Object::borrowed(PyTuple_GET_ITEM(output.get(), k)) : output;
        laid = laid && lies_as_asked(op, ys[k].get(), arrays, count);
    }
    if (!laid) {
        const Object list = list_of(ys, returned), all = list_of(arrays, count);
        PyObject* const call_arguments[] = {nullptr, reinterpret_cast<PyObject*>(cls), list.get(), all.get()};
        const Object as_asked = Object::made(PyObject_Vectorcall(engine.arrays_of, call_arguments + 1, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
        for (Py_ssize_t k = 0; k < returned; ++k) ys[k] = Object::borrowed(PyList_GetItem(as_asked.get(), k));
        for (Py_ssize_t k = 0; k < returned; ++k)
            if (!is_array(ys[k].get())) return {};
    }
    if (!lifted) return many ? tuple_of(ys, returned) : ys[0];

    Object node;
    if (recorded) {
        node = fresh(engine.Context);
        set(node.get(), n.function, reinterpret_cast<PyObject*>(cls));
        set(node.get(), n.next_functions, list_of(edges, count).get());
        Object kinds[most];
        for (Py_ssize_t k = 0; k < returned; ++k) {
            const Object both[] = {shape_of(ys[k].get()), Object::borrowed(array(ys[k].get())->descr)};
            kinds[k] = tuple_of(both, 2);
        }
        set(node.get(), n.outputs, list_of(kinds, returned).get());
        set(node.get(), n.time, call(engine.clock).get());
        if (!kernel.is_none()) set(node.get(), n.kernel, kernel.get());
        if (!extras.is_none()) set(node.get(), n.extras, extras.get());
    }
    Object results[most];
    for (Py_ssize_t k = 0; k < returned; ++k) results[k] = wrapped(ys[k], node, k);
    const Object result = many ? tuple_of(results, returned) : results[0];
    if (node && small) {
        PyObject* wanted[most];
        for (Py_ssize_t i = 0; i < count; ++i) wanted[i] = edges[i].get();
        if (small->setup) small->setup(node.get(), inputs, wanted, result);
    } else if (node && op.setup) {
        op.setup(node.get(), {inputs, edges, count, result.get()});
    } else if (node && op.setup_context) {
        Object all = Object::made(PyTuple_New(count));
        for (Py_ssize_t i = 0; i < count; ++i) PyTuple_SET_ITEM(all.get(), i, Object::borrowed(inputs[i]).release());
        call(op.setup_context.get(), node.get(), all.get(), result.get());
    }
    return result;
}

PyObject* applied_or(PyObject* in_python, PyObject* const* arguments, Py_ssize_t count, bool define) {
    try {
        if (Object result = applied(arguments, count, define)) return result.release();
    } catch (const PythonError&) {
        if (!PyErr_ExceptionMatches(PyExc_TypeError) && !PyErr_ExceptionMatches(PyExc_ValueError)) return nullptr;
        PyErr_Clear();  // Python says what did not fit, in our words
    }
    return PyObject_Vectorcall(in_python, arguments, count, nullptr);
}

}  // namespace

bool python_only() {
    const auto& n = names();
    PyObject* active = PyDict_GetItemWithError(engine.recorder, n.active);
    return PyDict_Contains(engine.modules, n.cupy) || is_true(value_of(engine.watching).get()) || active != Py_None;
}

Object edge_of(PyObject* x) {
    const auto& n = names();
    if (get(x, n._view).is_none()) {
        Object node = get(x, n._grad_fn);
        if (node.is_none()) node = get(x, n._leaf);
        if (!node.is_none()) {
            const Object items[] = {node, get(x, n.output_nr)};
            return tuple_of(items, 2);
        }
    }
    return get(x, n.edge);
}

const Small* small_of(PyTypeObject* cls) { return op_of(cls).small; }
Object backward_key_of(PyTypeObject* cls) { return op_of(cls).backward_key; }

PyObject* apply(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    return applied_or(engine.apply, arguments, count, false);
}
PyObject* apply_or_define(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    return applied_or(engine.apply_or_define, arguments, count, true);
}

}  // namespace mmb
