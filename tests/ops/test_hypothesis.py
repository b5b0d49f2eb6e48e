"""Properties of whole kinds of ops, over shapes, dtypes and layouts: the tables list the ops.

Each property runs with a few draws, and as `slow` with many.
"""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.ops import table
from tests.ops.table import for_all
from tinygrad_mmb import ops
from tinygrad_mmb.autograd.function import all_functions
from tinygrad_mmb.autograd.gradcheck import cases, outputs_of
from tinygrad_mmb.autograd.tensor import wrap
from tinygrad_mmb.backend import is_array

OPS = sorted(
    {op for op in all_functions() if op.__module__.startswith("tinygrad_mmb.")},
    key=lambda op: op.__qualname__,
)
VALUES = [op for op in OPS if op.__name__ != "Replaced"]  # its first argument is memory
EPSILON = {"float64": 2e-13, "float32": 2e-6, "float16": 4e-3}  # for errors of some last places
REFUSALS = (RuntimeError, TypeError, NotImplementedError, ZeroDivisionError)

few_and_many = pytest.mark.parametrize(
    "effort", [12, pytest.param(300, marks=pytest.mark.slow)], ids=["few", "many"]
)


def arrays_of(y):
    """The arrays of one result or of several."""
    if isinstance(y, (tuple, list)):
        return [a for part in y for a in arrays_of(part)]
    return [y.detach().numpy() if isinstance(y, tm.Tensor) else np.asarray(y)]


def assert_close(got, expected, tolerance=0.0):
    """Alike in kind, shape and values, the tolerance relative to the largest value."""
    for a, b in zip(arrays_of(got), arrays_of(expected), strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        scale = 1.0
        if tolerance:
            scale = max(scale, float(np.abs(b[np.isfinite(b)]).max(initial=0.0)))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale)


def quietly(f, *args, **options):
    """Without NumPy's warnings about infinities and ours about degrees of freedom."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return f(*args, **options)


def outcome(f, *args, **options):
    """The result, or the kind of error."""
    try:
        return quietly(f, *args, **options)
    except (*REFUSALS, IndexError, ValueError) as error:
        return type(error)


# -- an independent source: NumPy -----------------------------------------------------------------


def exactly(f, dtype, *xs, **options):
    """NumPy's result in `dtype`, floats computed in float64."""
    if np.dtype(dtype).kind == "f":
        xs = [x.astype(np.float64) for x in xs]
    try:
        y = quietly(f, *xs, **options)
    except TypeError:  # NumPy knows no sign of a bool
        y = quietly(f, *[x.astype(np.int8) for x in xs], **options)
    with np.errstate(all="ignore"):
        return np.asarray(y).astype(dtype)


def assert_numpys(name, xs, **options):
    """ops.<name> and NumPy agree, on Tensors and on arrays."""
    y = outcome(getattr(ops, name), *[wrap(x) for x in xs], **options)
    if isinstance(y, type):
        assert xs[0].dtype.kind != "f" or name.startswith("bitwise"), f"{name}: {y} for floats"
        return
    dtype = arrays_of(y)[0].dtype
    expected = exactly(table.numpys(name), dtype, *xs)
    assert_close(y, expected, EPSILON.get(str(dtype), 0.0))
    plain = quietly(getattr(ops, name), *xs, **options)
    assert_close(plain, arrays_of(y)[0])
    assert isinstance(plain, tm.Tensor) is False


@few_and_many
@pytest.mark.parametrize("name", table.UNARY)
def test_elementwise_ops_of_one_operand_are_numpys(name, effort):
    dtypes = st.sampled_from(table.DTYPES)

    def holds(data):
        assert_numpys(name, [data.draw(table.arrays(dtype=dtypes, special=True))])

    for_all(effort, holds)


@few_and_many
@pytest.mark.parametrize("name", table.BINARY)
def test_elementwise_ops_of_two_operands_are_numpys(name, effort):
    def holds(data):
        dtype = data.draw(st.sampled_from(table.DTYPES))
        shapes = data.draw(table.pairs_of_shapes)
        assert_numpys(name, [data.draw(table.arrays(s, dtype, special=True)) for s in shapes])

    for_all(effort, holds)


def dims_for(name, data, ndim):
    """None for all dimensions, one, or several: what the reduction takes."""
    if name in table.KEEP_SHAPE:
        return data.draw(st.integers(0, ndim - 1))
    if name in table.ONE_DIM:
        return data.draw(st.none() | st.integers(0, ndim - 1))
    most = min(ndim, 2) if name == "norm" else ndim  # as in PyTorch
    lists = st.lists(st.integers(0, ndim - 1), min_size=1, max_size=most, unique=True)
    return data.draw(st.none() | st.integers(0, ndim - 1) | lists.map(tuple))


def reduced(name, x, dim, keepdim):
    """The values that ops.<name> gives; where dim is None, it is not passed."""
    options = {} if dim is None else {"dim": dim}
    if dim is None and name == "logsumexp":
        options["dim"] = tuple(range(x.ndim))
    if name not in table.KEEP_SHAPE and dim is not None:
        options["keepdim"] = keepdim
    y = getattr(ops, name)(x, **options)
    return y[0] if isinstance(y, tuple) else y


@few_and_many
@pytest.mark.parametrize("name", table.REDUCTIONS)
def test_reductions_are_numpys_for_all_dims_and_keepdim(name, effort):
    def holds(data):
        dtype = data.draw(st.sampled_from(("float64", *table.DTYPES)))
        x = data.draw(table.arrays(dtype=dtype))
        assume(x.ndim)
        dim, keepdim = dims_for(name, data, x.ndim), data.draw(st.booleans())
        y = outcome(reduced, name, wrap(x), dim, keepdim)
        if isinstance(y, type):
            empty = x.size == 0 and name in ("amax", "amin", "argmax", "argmin", "max", "min")
            assert empty or x.dtype.kind != "f", f"{name}: {y} for floats of shape {x.shape}"
            return
        options = {"axis": dim}
        if name not in table.KEEP_SHAPE:
            options["keepdims"] = keepdim and dim is not None
        result = y.dtype
        expected = exactly(table.numpys(name), result, x, **options)
        assert_close(y, expected, 8 * EPSILON.get(str(result), 0.0))
        assert_close(quietly(reduced, name, x, dim, keepdim), y, EPSILON.get(str(result), 0.0))

    for_all(effort, holds)


# -- the memory of the inputs does not matter ------------------------------------------------------


def laid_out(args, layouts):
    return [
        layout(a) if is_array(a) else a for a, layout in zip(args, layouts, strict=True)
    ]  # fmt: skip


def with_gradients(op, args):
    """The results, and the gradients of float inputs for fixed gradients of the results."""
    xs = [
        (wrap(a).requires_grad_() if a.dtype.kind == "f" else wrap(a)) if is_array(a) else a
        for a in args
    ]
    ys = op.apply(*xs)
    ys = ys if isinstance(ys, tuple) else (ys,)
    heads = outputs_of(list(ys))
    wanted = [x for x in xs if isinstance(x, tm.Tensor) and x.requires_grad]
    if not heads or not wanted:
        return list(ys), []
    us = [wrap(np.cos(np.arange(y.numel())).reshape(y.shape)) for y in heads]
    gs = tm.autograd.grad(heads, wanted, us, allow_unused=True)
    return list(ys), [g for g in gs if g is not None]


@few_and_many
@pytest.mark.parametrize("op", VALUES, ids=lambda op: op.__name__)
def test_results_and_gradients_do_not_depend_on_the_layout_of_the_inputs(op, effort):
    rng = np.random.default_rng(0)
    samples = [
        [a.astype(np.float64) if is_array(a) and a.dtype.kind == "f" else a for a in args]
        for args in op.samples(rng, 4)
    ]
    layouts = st.sampled_from(sorted(table.LAYOUTS)).map(table.LAYOUTS.get)

    def holds(data):
        args = data.draw(st.sampled_from(samples))
        drawn = [data.draw(layouts) if is_array(a) else None for a in args]
        ys, gs = with_gradients(op, laid_out(args, [table.plain] * len(args)))
        other_ys, other_gs = with_gradients(op, laid_out(args, drawn))
        assert_close(other_ys, ys, 1e-12)
        assert_close(other_gs, gs, 1e-11)
        reversed_ys = op.apply(*laid_out(args, [table.backwards] * len(args)))
        assert_close(reversed_ys, ys, 1e-12)

    for_all(effort, holds)


# -- broadcasting is expanding ---------------------------------------------------------------------

BROADCASTING = {
    **{name: getattr(ops, name) for name in table.BINARY if name not in ("allclose", "equal")},
    "where": lambda x, y: ops.where(x > y, x, y * y),
    "clamp": lambda x, y: ops.clamp(x, min=y),
    "clip": lambda x, y: ops.clip(x, max=y),
    "masked_fill": lambda x, y: ops.masked_fill(x + 0 * y, y > 0, 2.0),
    "add with alpha": lambda x, y: ops.add(x, y, alpha=3),
    "matmul": lambda x, y: ops.matmul(
        ops.stack([x, x * x], -1).unsqueeze(-1), ops.stack([y, 2 * y], -1).unsqueeze(-2)
    ),
    "+=": lambda x, y: (x + 0 * y).add_(y),
    "[...] =": lambda x, y: assigned(x + 0 * y, y),
}


def assigned(x, y):
    x[...] = y
    return x * x


@few_and_many
@pytest.mark.parametrize("name", BROADCASTING)
def test_broadcasting_is_expanding_first_in_both_directions(name, effort):
    f = BROADCASTING[name]
    dtype = "int64" if name.startswith("bitwise") else "float64"

    def holds(data):
        shapes = data.draw(table.pairs_of_shapes)
        a, b = (data.draw(table.arrays(s, dtype)) for s in shapes)
        full = np.broadcast_shapes(*shapes)

        def result(expand):
            xs = [wrap(x).requires_grad_() if dtype == "float64" else wrap(x) for x in (a, b)]
            operands = [x.expand(full) for x in xs] if expand else xs
            y = quietly(f, *operands)
            if not y.requires_grad:
                return y, []
            # floor_divide has no gradient, as in PyTorch, and says so
            gs = outcome(tm.autograd.grad, (y * y.detach().cos()).sum(), xs, allow_unused=True)
            return y, gs if isinstance(gs, type) else [g for g in gs if g is not None]

        y, gs = result(expand=False)
        expected, expected_gs = result(expand=True)
        assert_close(y, expected, 1e-12)
        if isinstance(gs, type):
            assert expected_gs is gs is NotImplementedError and name == "floor_divide"
        else:
            assert_close(gs, expected_gs, 1e-11)

    for_all(effort, holds)


# -- the way back is linear ------------------------------------------------------------------------


def differentiable(op):
    """The op's samples with their results, where something has a gradient."""
    for f, inputs in cases(op, np.random.default_rng(0)):
        xs = [x for x in inputs if isinstance(x, tm.Tensor) and x.requires_grad]
        if xs and outputs_of(f(*inputs)):
            yield f, inputs, xs


@few_and_many
@pytest.mark.parametrize("op", VALUES, ids=lambda op: op.__name__)
def test_backward_is_linear_in_the_gradient_that_comes(op, effort):
    samples = list(differentiable(op))
    if not samples:
        pytest.skip("no gradient")
    factors = st.floats(-3, 3)

    def holds(data):
        f, inputs, xs = data.draw(st.sampled_from(samples))
        a, b = data.draw(factors), data.draw(factors)
        ys = outputs_of(f(*inputs))
        rng = np.random.default_rng(data.draw(st.integers(0, 100)))
        us, vs = ([wrap(np.array(rng.standard_normal(y.shape))) for y in ys] for _ in "uv")

        def back(heads):
            gs = tm.autograd.grad(ys, xs, heads, retain_graph=True, allow_unused=True)
            return [np.zeros(x.shape) if g is None else g.numpy() for x, g in zip(xs, gs)]  # noqa: B905

        both = back([a * u + b * v for u, v in zip(us, vs, strict=True)])
        apart = [a * g + b * h for g, h in zip(back(us), back(vs), strict=True)]
        assert_close(both, apart, 1e-11)

    for_all(effort, holds)


# -- shapes and dimensions -------------------------------------------------------------------------


@few_and_many
@pytest.mark.parametrize("name", table.REDUCTIONS)
def test_shapes_after_a_reduction_and_dimensions_counted_from_the_end(name, effort):
    def holds(data):
        x = wrap(data.draw(table.arrays()))
        assume(x.ndim)
        dim, keepdim = dims_for(name, data, x.ndim), data.draw(st.booleans())
        assume(dim is not None)
        y = outcome(reduced, name, x, dim, keepdim)
        negative = dim - x.ndim if isinstance(dim, int) else tuple(d - x.ndim for d in dim)
        again = outcome(reduced, name, x, negative, keepdim)
        if isinstance(y, type):
            assert x.numel() == 0 and again is y
            return
        dims = {dim} if isinstance(dim, int) else set(dim)
        kept = [1 if k in dims else n for k, n in enumerate(x.shape) if keepdim or k not in dims]
        assert tuple(y.shape) == (tuple(x.shape) if name in table.KEEP_SHAPE else tuple(kept))
        assert_close(again, y)

    for_all(effort, holds)


def index_for(x, dim):
    """Valid positions along a dimension, in the shape of x."""
    return wrap(np.arange(x.numel()).reshape(x.shape) % max(x.shape[dim], 1))


# every other function with a dimension: f(x, dim)
DIMENSIONS = {
    "argsort": lambda x, d: ops.argsort(x, dim=d, stable=True),
    "cat": lambda x, d: ops.cat([x, x], d),
    "chunk": lambda x, d: ops.chunk(x, 2, d),
    "concat": lambda x, d: ops.concat([x, x], d),
    "concatenate": lambda x, d: ops.concatenate([x, x], d),
    "cumsum_": lambda x, d: ops.cumsum_(x.clone(), d),
    "gather": lambda x, d: ops.gather(x, d, index_for(x, d)),
    "index_add": lambda x, d: ops.index_add(x, d, ops.arange(x.shape[d]), x),
    "index_select": lambda x, d: ops.index_select(x, d, ops.arange(x.shape[d])),
    "narrow": lambda x, d: ops.narrow(x, d, x.shape[d] // 2, x.shape[d] - x.shape[d] // 2),
    "scatter_add": lambda x, d: ops.scatter_add(x, d, index_for(x, d), x),
    "select": lambda x, d: ops.select(x, d, 0),
    "sort": lambda x, d: ops.sort(x, dim=d, stable=True),
    "split": lambda x, d: ops.split(x, 2, d),
    "squeeze": lambda x, d: ops.squeeze(x, d),
    "topk": lambda x, d: ops.topk(x, x.shape[d] // 2, d),
    "unbind": lambda x, d: ops.unbind(x, d),
    # dimensions of other names
    "diagonal": lambda x, d: ops.diagonal(x, 0, d, (d + 1 if d >= 0 else d - x.ndim + 1) % x.ndim),
    "flatten": lambda x, d: ops.flatten(x, d, -1),
    "flip": lambda x, d: ops.flip(x, [d]),
    "movedim": lambda x, d: ops.movedim(x, d, 0),
    "roll": lambda x, d: ops.roll(x, 1, d),
    "transpose": lambda x, d: ops.transpose(x, d, 0),
}


def test_every_function_with_a_dim_is_in_a_table():
    takes_dim = {n for n in ops.__dict__ if callable(getattr(ops, n)) and "dim" in signature_of(n)}
    known = {*DIMENSIONS, *table.REDUCTIONS}
    assert takes_dim - known == {"stack", "unsqueeze"}  # they count the dimensions of the result


def signature_of(name):
    code = getattr(getattr(ops, name), "__code__", None)
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code else ()


@few_and_many
@pytest.mark.parametrize("name", [*DIMENSIONS, "stack", "unsqueeze"])
def test_a_dimension_counted_from_the_end_is_the_same_one(name, effort):
    new = {"stack": lambda x, d: ops.stack([x, x], d), "unsqueeze": ops.unsqueeze}
    f = DIMENSIONS.get(name) or new[name]

    def holds(data):
        x = wrap(data.draw(table.arrays()))
        ndim = x.ndim + (name in new)
        assume(ndim)
        dim = data.draw(st.integers(0, ndim - 1))
        y, again = outcome(f, x, dim), outcome(f, x, dim - ndim)
        if isinstance(y, type):
            assert again is y
        else:
            assert_close(again, y)
        for beyond in (ndim, -ndim - 1):
            assert name == "diagonal" or outcome(f, x, beyond) is IndexError

    for_all(effort, holds)


# -- views, against PyTorch ------------------------------------------------------------------------


def some_shape(data, size):
    """A shape of that many elements."""
    if size == 0:
        return data.draw(st.sampled_from([(0,), (0, 3), (2, 0), (1, 0, 1)]))
    shape = []
    while size > 1:
        n = data.draw(st.sampled_from([n for n in range(2, size + 1) if size % n == 0]))
        shape.append(n)
        size //= n
    return tuple(data.draw(st.permutations([*shape, *data.draw(st.sampled_from([[], [1]]))])))


def some_slice(data, n):
    return slice(
        data.draw(st.none() | st.integers(-n, n)),
        data.draw(st.none() | st.integers(-n, n)),
        data.draw(st.none() | st.integers(1, 3)),
    )


# (arguments drawn for x) → a call of either library
VIEWS = {
    "reshape": lambda data, x: partial(call, "reshape", some_shape(data, x.size)),
    "view": lambda data, x: partial(call, "view", some_shape(data, x.size)),
    "flatten": lambda data, x: partial(call, "flatten"),
    "permute": lambda data, x: partial(
        call, "permute", tuple(data.draw(st.permutations(range(x.ndim))))
    ),
    "transpose": lambda data, x: partial(call, "transpose", one_dim(data, x), one_dim(data, x)),
    "movedim": lambda data, x: partial(call, "movedim", one_dim(data, x), one_dim(data, x)),
    "unsqueeze": lambda data, x: partial(call, "unsqueeze", data.draw(st.integers(0, x.ndim))),
    "squeeze": lambda data, x: partial(call, "squeeze"),
    "squeeze one": lambda data, x: partial(call, "squeeze", one_dim(data, x)),
    "expand": lambda data, x: partial(call, "expand", (2, *x.shape)),
    "diagonal": lambda data, x: partial(call, "diagonal", data.draw(st.integers(-2, 2))),
    "narrow": lambda data, x: partial(call, "narrow", one_dim(data, x), 0, 1),
    "select": lambda data, x: partial(call, "select", one_dim(data, x), -1),
    "split": lambda data, x: partial(call, "split", 2, one_dim(data, x)),
    "chunk": lambda data, x: partial(call, "chunk", 2, one_dim(data, x)),
    "unbind": lambda data, x: partial(call, "unbind", one_dim(data, x)),
    "t": lambda data, x: partial(call, "t"),
    "detach": lambda data, x: partial(call, "detach"),
    "contiguous": lambda data, x: partial(call, "contiguous"),
    "clone": lambda data, x: partial(call, "clone"),
    "to its own dtype": lambda data, x: partial(call, "double"),
    "to another dtype": lambda data, x: partial(call, "float"),
    "flip": lambda data, x: partial(call, "flip", [one_dim(data, x)]),
    "roll": lambda data, x: partial(call, "roll", 1),
    "repeat": lambda data, x: partial(call, "repeat", [1] * x.ndim),
    "tile": lambda data, x: partial(call, "tile", [1] * x.ndim),
    "tril": lambda data, x: partial(call, "tril"),
    "slices": lambda data, x: partial(
        call, "__getitem__", tuple(some_slice(data, n) for n in x.shape)
    ),
    "an int": lambda data, x: partial(call, "__getitem__", 0),
    "None and ...": lambda data, x: partial(call, "__getitem__", (None, ..., None)),
    "a mask": lambda data, x: lambda t: t[t == t],
    "a list": lambda data, x: partial(call, "__getitem__", [0]),
}


def call(name, *args):
    """A call of a method, its Tensor last."""
    *args, x = args
    return getattr(x, name)(*args)


def one_dim(data, x):
    return data.draw(st.integers(-x.ndim, x.ndim - 1)) if x.ndim else 0


def parts(y):
    return list(y) if isinstance(y, (tuple, list)) else [y]


@pytest.mark.host_only("NumPy shares memory with the CPU only")
@pytest.mark.torch
@few_and_many
@pytest.mark.parametrize("name", VIEWS)
def test_memory_is_shared_exactly_where_pytorch_shares_it(name, effort):
    torch = pytest.importorskip("torch")

    def holds(data):
        array = data.draw(table.arrays())
        f = VIEWS[name](data, array)
        ours, theirs = tm.from_numpy(array), torch.from_numpy(array)
        y, expected = outcome(f, ours), outcome(f, theirs)
        if isinstance(y, type) or isinstance(expected, type):
            assert y is expected or issubclass(y, expected)
            return
        memory = theirs.untyped_storage().data_ptr()
        for a, b in zip(parts(y), parts(expected), strict=True):
            assert_close(a, b.numpy())
            assert (a.memory is ours.memory) == (b.untyped_storage().data_ptr() == memory)
            assert a.is_contiguous() == b.is_contiguous()
            wide = [k for k, n in enumerate(b.shape) if n > 1 and b.numel()]
            assert [a.stride()[k] for k in wide] == [b.stride()[k] for k in wide]
            if b.numel() and a.memory is ours.memory:
                assert np.shares_memory(a.array, array)

    for_all(effort, holds)
