#include "small.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace mmb {
namespace {

constexpr Py_ssize_t few = 128;  // numbers; from there on NumPy's call is not what costs. Its sums
                                 // of so many are plain blocks, which `sum` below repeats

bool is_aligned(PyObject* a) { return reinterpret_cast<std::uintptr_t>(array(a)->data) % float_bytes(a) == 0; }
Py_ssize_t size_of(PyObject* a) {
    Py_ssize_t size = 1;
    for (int i = 0; i < array(a)->nd; ++i) size *= array(a)->dimensions[i];
    return size;
}
bool is_few(PyObject* a) { return is_array(a) && in_rows(a) && float_bytes(a) && is_aligned(a) && size_of(a) <= few; }
bool alike(PyObject* a, PyObject* b) {  // of one shape and dtype
    return float_bytes(a) == float_bytes(b) && array(a)->nd == array(b)->nd &&
           !std::memcmp(array(a)->dimensions, array(b)->dimensions, array(a)->nd * sizeof(Py_ssize_t));
}
PyObject* dtype_like(PyObject* a) { return float_bytes(a) == 4 ? numpy.float32 : numpy.float64; }
Object empty_like(PyObject* a) { return empty(array(a)->nd, array(a)->dimensions, dtype_like(a)); }

template <class T>
T* data(PyObject* a) { return reinterpret_cast<T*>(array(a)->data); }

// y[i] = f(a[i], b[i])
template <class F>
Object zipped(PyObject* a, PyObject* b, F f) {
    Object y = empty_like(a);
    const Py_ssize_t n = size_of(a);
    if (float_bytes(a) == 4)
        for (Py_ssize_t i = 0; i < n; ++i) data<float>(y.get())[i] = f(data<float>(a)[i], data<float>(b)[i]);
    else
        for (Py_ssize_t i = 0; i < n; ++i) data<double>(y.get())[i] = f(data<double>(a)[i], data<double>(b)[i]);
    return y;
}
template <class F>
Object binary(const Object* arrays, Py_ssize_t count, F f) {
    PyObject *a = arrays[0].get(), *b = arrays[1].get();
    return count == 2 && is_few(a) && is_few(b) && alike(a, b) ? zipped(a, b, f) : Object();
}
Object plus(const Object* arrays, Py_ssize_t count) { return binary(arrays, count, [](auto a, auto b) { return a + b; }); }
Object minus(const Object* arrays, Py_ssize_t count) { return binary(arrays, count, [](auto a, auto b) { return a - b; }); }
Object times(const Object* arrays, Py_ssize_t count) { return binary(arrays, count, [](auto a, auto b) { return a * b; }); }
Object negative(PyObject* g) { return zipped(g, g, [](auto a, auto) { return -a; }); }
Object negated(const Object* arrays, Py_ssize_t) { return is_few(arrays[0].get()) ? negative(arrays[0].get()) : Object(); }
Object positive_part(const Object* arrays, Py_ssize_t) {
    PyObject* x = arrays[0].get();
    return is_few(x) ? zipped(x, x, [](auto a, auto) { return 0 > a ? 0 : a; }) : Object();  // NaN and -0 stay
}

// NumPy's pairwise sum of at most 128 numbers: eight running sums, then a tree.
template <class T>
T pairwise(const T* x, Py_ssize_t n) {
    if (n < 8) {
        T sum = n ? x[0] : 0;
        for (Py_ssize_t i = 1; i < n; ++i) sum += x[i];
        return sum;
    }
    T r[8];
    std::memcpy(r, x, sizeof r);
    Py_ssize_t i = 8;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; ++k) r[k] += x[i + k];
    T sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    for (; i < n; ++i) sum += x[i];
    return sum;
}
Object summed(const Object* arrays, Py_ssize_t count) {  // over all dimensions
    PyObject* x = arrays[0].get();
    if (count != 3 || !arrays[1].is_none() || arrays[2].get() != Py_False || !is_few(x)) return {};
    Object y = empty(0, nullptr, dtype_like(x));
    if (float_bytes(x) == 4) *data<float>(y.get()) = pairwise(data<float>(x), size_of(x));
    else *data<double>(y.get()) = pairwise(data<double>(x), size_of(x));
    return y;
}

bool needs(PyObject* edges, Py_ssize_t i) { return PyList_GET_ITEM(edges, i) != Py_None; }

// What the node saved at i, as an array: nothing if it may have been written over, or was freed.
Object saved(PyObject* node, Py_ssize_t i) {
    const Object all = get(node, names()._saved);
    if (!PyTuple_CheckExact(all.get()) || i >= PyTuple_GET_SIZE(all.get())) return {};
    Object value = as_it_was(node, PyTuple_GET_ITEM(all.get(), i));
    return value && is_array(value.get()) ? value : Object();
}
const auto none = [] { return Object::borrowed(Py_None); };

Object through_plus(PyObject*, PyObject*, PyObject* g) { return pair(Object::borrowed(g), Object::borrowed(g)); }
Object through_minus(PyObject*, PyObject* edges, PyObject* g) {
    if (!is_few(g)) return {};
    return pair(Object::borrowed(g), needs(edges, 1) ? negative(g) : none());
}
Object through_negated(PyObject*, PyObject*, PyObject* g) {
    if (!is_few(g)) return {};
    Object only = Object::made(PyTuple_New(1));
    PyTuple_SET_ITEM(only.get(), 0, negative(g).release());
    return only;
}

Object through_times(PyObject* node, PyObject* edges, PyObject* g) {
    Object gx[2];
    for (int i = 0; i < 2; ++i) {
        gx[i] = none();
        if (!needs(edges, i)) continue;
        const Object other = saved(node, 1 - i);
        if (!other || !is_few(g) || !is_few(other.get()) || !alike(g, other.get())) return {};
        gx[i] = zipped(g, other.get(), [](auto a, auto b) { return a * b; });
    }
    return pair(gx[0], gx[1]);
}

void keep_output(PyObject* node, const Call& call) { keep(node, {without_cycle(call.result).get()}); }
Object through_positive_part(PyObject* node, PyObject*, PyObject* g) {
    const Object y = saved(node, 0);
    if (!y || !is_few(g) || !is_few(y.get()) || !alike(g, y.get())) return {};
    Object only = Object::made(PyTuple_New(1));
    PyTuple_SET_ITEM(only.get(), 0, zipped(g, y.get(), [](auto a, auto b) { return b <= 0 ? 0 : a; }).release());
    return only;
}

void keep_shape(PyObject* node, const Call& call) {
    const auto& n = names();
    set(node, n.dims, call.inputs[1]);
    set(node, n.keepdim, call.inputs[2]);
    const Object x = get(call.inputs[0], n.array);
    set(node, n.shape, (is_array(x.get()) ? shape_of(x.get()) : get(call.inputs[0], n.shape)).get());
}
Object through_summed(PyObject* node, PyObject*, PyObject* g) {
    const auto& n = names();
    const Object shape = get(node, n.shape);
    if (!get(node, n.dims).is_none() || !is_few(g) || array(g)->nd) return {};
    Py_ssize_t dimensions[8], size = 1;
    const auto nd = PyTuple_GET_SIZE(shape.get());
    if (nd > 8) return {};
    for (Py_ssize_t i = 0; i < nd; ++i) size *= dimensions[i] = PyLong_AsSsize_t(PyTuple_GET_ITEM(shape.get(), i));
    if (size > few) return {};
    Object gx = empty(static_cast<int>(nd), dimensions, dtype_like(g));
    if (float_bytes(g) == 4) std::fill_n(data<float>(gx.get()), size, *data<float>(g));
    else std::fill_n(data<double>(gx.get()), size, *data<double>(g));
    Object all = Object::made(PyTuple_New(3));
    PyTuple_SET_ITEM(all.get(), 0, gx.release());
    PyTuple_SET_ITEM(all.get(), 1, none().release());
    PyTuple_SET_ITEM(all.get(), 2, none().release());
    return all;
}

constexpr Small smalls[] = {
    {"Add", plus, nullptr, through_plus},
    {"Sub", minus, nullptr, through_minus},
    {"Mul", times, keep_factors, through_times},
    {"Neg", negated, nullptr, through_negated},
    {"Relu", positive_part, keep_output, through_positive_part},
    {"Sum", summed, keep_shape, through_summed},
};

}  // namespace

const Small* small_named(const char* name) {
    for (const Small& s : smalls)
        if (!std::strcmp(s.name, name)) return &s;
    return nullptr;
}

}  // namespace mmb
