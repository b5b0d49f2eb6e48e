// The twin of Function.apply (autograd/function.py): the same steps in the same order, for what nearly
// every call is; whatever else comes (a GPU, a view, an error) goes to the Python function.
#include <unordered_map>
#include <vector>

#include "setup.hpp"
#include "small.hpp"

namespace mmb {

namespace {

struct Op {  // what apply asks of a class, looked up once; Python changes the tag when the class changes
    unsigned tag = 0;
    bool plain = false, keeps_operands = false, broadcasts = false, is_composed = false;
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
    op.broadcasts = is_true(get(c, n.broadcasts).get());
    op.is_composed = !get(c, n.composed).is_none();
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
    int bytes = 0;
    for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject* a = arrays[i].get();
        if (PyFloat_CheckExact(a)) continue;
        if (!is_array(a) || !float_bytes(a) || (bytes && float_bytes(a) != bytes)) return false;
        bytes = float_bytes(a);
    }
    return bytes;
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

constexpr Py_ssize_t most = 16;  // arguments of an op

// Whether an argument that is no Tensor may be, or hold, an array of a GPU: other kernels take those.
bool is_elsewhere(PyObject* x) {
    if (is_array(x) || PyFloat_CheckExact(x) || PyLong_Check(x) || PyUnicode_Check(x) || x == Py_None) return false;
    const int cupy = PyDict_Contains(engine.modules, names().cupy);
    check(cupy);
    return cupy && is_true(call(engine.on_device, x).get());
}

struct Operands {
    PyObject* const* inputs;  // what the caller passed
    const Py_ssize_t count;
    Object arrays[most], edges[most];
    bool lifted = false, recorded = false;  // a Tensor came, and one whose gradient is wanted

    Operands(PyObject* const* first, Py_ssize_t n) : inputs(first), count(n) {}

    bool read() {  // false: let Python do it
        const auto& n = names();
        const bool record = is_true(value_of(engine.recording).get());
        for (Py_ssize_t i = 0; i < count; ++i) {
            PyObject* x = inputs[i];
            edges[i] = Object::none();
            if (!PyObject_TypeCheck(x, engine.Tensor)) {
                if (is_elsewhere(x)) return false;
                arrays[i] = Object::borrowed(x);
                continue;
            }
            lifted = true;
            arrays[i] = get(x, n.array);
            if (!is_array(arrays[i].get())) return false;
            if (record && is_true(get(x, n._requires_grad).get())) {
                edges[i] = edge_of(x);
                recorded = true;
            }
        }
        return true;
    }
    bool promote(const Op& op) {  // false: let Python do it
        if (op.promotion.is_none() || (op.keeps_operands && agree(arrays, count))) return true;
        const Object met = call(op.promotion.get(), list_of(arrays, count).get());
        if (!PyList_CheckExact(met.get()) || PyList_GET_SIZE(met.get()) != count) return false;
        for (Py_ssize_t i = 0; i < count; ++i) arrays[i] = Object::borrowed(PyList_GET_ITEM(met.get(), i));
        return true;
    }
};

struct Values {  // of any number; few need no memory
    explicit Values(Py_ssize_t count) : more(count > most ? count : 0), at(count > most ? more.data() : few) {}
    Values(const Values&) = delete;
    Object& operator[](Py_ssize_t k) { return at[k]; }
    Object few[most];
    std::vector<Object> more;
    Object* const at;
};

struct Computed {
    Object kernel = Object::none(), output;
    const Small* small = nullptr;
    bool is_composed = false;  // then `output` is the result
};

// By a few lines of C++, by a twin of the kernel table, or as the class itself says.
Computed computed(const Op& op, PyObject* cls, const Operands& x) {
    const auto& n = names();
    Computed done;
    const Object pin = value_of(engine.pin);
    const bool is_free = pin.get() == engine.any_pin;
    if (is_free && op.small && (done.output = op.small->forward(x.arrays, x.count))) {  // before anyone looks for a twin
        done.small = op.small;
        return done;
    }
    PyObject* given[most + 1];
    for (Py_ssize_t i = 0; i < x.count; ++i) given[i + 1] = x.arrays[i].get();
    const Arguments numbers{given + 1, x.count};
    const int unasked = PySet_Contains(engine.unasked, op.key.get());
    check(unasked);
    if (!is_free) done.kernel = call(engine.select, op.key.get(), list_of(x.arrays, x.count).get());
    else if (unasked) done.kernel = chosen(op.key.get(), PyTuple_GET_ITEM(engine.fits, 0), PyTuple_GET_ITEM(engine.fits, 1), numbers);
    done.is_composed = op.is_composed && done.kernel.is_none();
    if (done.is_composed) {
        done.output = Object::made(PyObject_Vectorcall(get(cls, n.composed).get(), x.inputs, x.count, nullptr));
    } else {
        const Object compute = done.kernel.is_none() ? op.forward : get(done.kernel.get(), n.run);
        done.output = numbers.to(compute.get());
    }
    return done;
}

// An error of NumPy's becomes ours, if refuse_unfit of autograd/function.py knows better words.
void refuse_unfit(PyObject* cls, const Operands& x) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError) && !PyErr_ExceptionMatches(PyExc_ValueError)) return;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    try {
        call(engine.refuse_unfit, cls, list_of(x.arrays, x.count).get());
    } catch (const PythonError&) {
        Py_XDECREF(type), Py_XDECREF(value), Py_XDECREF(traceback);
        throw;
    }
    PyErr_Restore(type, value, traceback);
}

bool lies_as_asked(const Op& op, PyObject* y, const Operands& x) {
    if (!is_array(y) || !in_rows(y)) return false;
    if (op.broadcasts && array(y)->nd > 1)
        for (Py_ssize_t i = 0; i < x.count; ++i)
            if (is_array(x.arrays[i].get()) && !in_rows(x.arrays[i].get())) return false;
    return true;
}

// Function.arrays_of
void lay_out(const Op& op, PyObject* cls, const Operands& x, Values& ys, Py_ssize_t returned) {
    bool laid = true;
    for (Py_ssize_t k = 0; k < returned; ++k) laid = laid && lies_as_asked(op, ys[k].get(), x);
    if (laid) return;
    const Object laid_out = call(engine.arrays_of, cls, list_of(ys.at, returned).get(), list_of(x.arrays, x.count).get());
    for (Py_ssize_t k = 0; k < returned; ++k) ys[k] = Object::made(PySequence_GetItem(laid_out.get(), k));
}

bool is_floating(PyObject* y) {
    if (is_array(y)) return dtype(array(y))->kind == 'f';
    const Object kind = get(get(y, names().dtype).get(), names().kind);
    return PyUnicode_CompareWithASCIIString(kind.get(), "f") == 0;
}
Object shape_and_dtype(PyObject* y) {
    const bool numpys = is_array(y);
    const Object both[] = {numpys ? shape_of(y) : get(y, names().shape), numpys ? Object::borrowed(array(y)->descr) : get(y, names().dtype)};
    return tuple_of(both, 2);
}

Object wrapped(const Object& y, const Object& node, Py_ssize_t k) {
    const auto& n = names();
    Object t = instance(engine.Tensor);
    set(t.get(), n.array, y.get());
    if (node && is_floating(y.get())) {
        set(t.get(), n._requires_grad, Py_True);
        set(t.get(), n._grad_fn, node.get());
        if (k) set(t.get(), n.output_nr, Object::made(PyLong_FromSsize_t(k)).get());
    }
    return t;
}

Object node_of(PyObject* cls, const Operands& x, Values& ys, Py_ssize_t returned, const Computed& done, const Object& extras) {
    const auto& n = names();
    Object node = instance(engine.Context), outputs = Object::made(PyList_New(returned));
    set(node.get(), n.function, cls);
    set(node.get(), n.next_functions, list_of(x.edges, x.count).get());
    for (Py_ssize_t k = 0; k < returned; ++k) PyList_SET_ITEM(outputs.get(), k, shape_and_dtype(ys[k].get()).release());
    set(node.get(), n.outputs, outputs.get());
    set(node.get(), n.time, call(engine.clock).get());
    if (!done.kernel.is_none()) set(node.get(), n.kernel, done.kernel.get());
    if (!extras.is_none()) set(node.get(), n.extras, extras.get());
    return node;
}

void set_up(const Op& op, const Small* small, PyObject* node, const Operands& x, PyObject* result) {
    if (const Setup setup = small ? small->setup : op.setup) {
        setup(node, {x.inputs, x.edges, x.count, result});
    } else if (!small && op.setup_context) {
        const Object rule = op.setup_context, inputs = Object::made(PyTuple_New(x.count));
        for (Py_ssize_t i = 0; i < x.count; ++i) PyTuple_SET_ITEM(inputs.get(), i, Object::borrowed(x.inputs[i]).release());
        call(rule.get(), node, inputs.get(), result);
    }
}

// Nothing: let Python do it. From the moment that something was computed, it is done here to the end, as
// what Python computed again would be counted twice and draw other random numbers.
Object applied(PyObject* const* arguments, Py_ssize_t count) {
    PyObject* cls = arguments[0];
    if (count - 1 > most || python_only()) return {};
    const Op& op = op_of(reinterpret_cast<PyTypeObject*>(cls));
    Operands x(arguments + 1, count - 1);
    if (!op.plain || !x.read()) return {};
    Computed done;
    try {
        if (!x.promote(op)) return {};
        done = computed(op, cls, x);
    } catch (const PythonError&) {
        refuse_unfit(cls, x);
        throw;
    }
    if (done.is_composed) return done.output;
    Object output = done.output, extras = Object::none();
    if (Py_TYPE(output.get()) == engine.WithExtras) {
        extras = get(output.get(), names().extras);
        output = get(output.get(), names().y);
    }
    const bool many = PyTuple_CheckExact(output.get());
    const Py_ssize_t returned = many ? PyTuple_GET_SIZE(output.get()) : 1;
    Values ys(returned);
    for (Py_ssize_t k = 0; k < returned; ++k) ys[k] = many ? Object::borrowed(PyTuple_GET_ITEM(output.get(), k)) : output;
    lay_out(op, cls, x, ys, returned);
    if (!x.lifted) return many ? tuple_of(ys.at, returned) : ys[0];

    Object node;
    if (x.recorded) node = node_of(cls, x, ys, returned, done, extras);
    for (Py_ssize_t k = 0; k < returned; ++k) ys[k] = wrapped(ys[k], node, k);
    const Object result = many ? tuple_of(ys.at, returned) : ys[0];
    if (node) set_up(op, done.small, node.get(), x, result.get());
    return result;
}

}  // namespace

bool python_only() {
    const auto& n = names();
    PyObject* active = PyDict_GetItemWithError(engine.recorder, n.active);
    return active != Py_None || is_true(value_of(engine.watching).get());
}

Object edge_of(PyObject* x) {
    const auto& n = names();
    if (get(x, n._view).is_none()) {
        static PyObject* const first = PyLong_FromLong(0);
        if (const Object node = get(x, n._grad_fn); !node.is_none()) return pair(node, get(x, n.output_nr));
        if (const Object node = get(x, n._leaf); !node.is_none()) return pair(node, Object::borrowed(first));
    }
    return get(x, n.edge);
}

const Small* small_of(PyTypeObject* cls) { return op_of(cls).small; }
Object backward_key_of(PyTypeObject* cls) { return op_of(cls).backward_key; }

PyObject* apply(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    try {
        if (Object result = applied(arguments, count)) return result.release();
    } catch (const PythonError&) {
        return nullptr;
    }
    return PyObject_Vectorcall(engine.apply, arguments, count, nullptr);
}

}  // namespace mmb
