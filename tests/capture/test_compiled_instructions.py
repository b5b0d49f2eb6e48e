"""The replay in C++: each instruction against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.capture.by_hand import NEEDS_CPP, ByHand, assert_product, multiplied, operands
from tinygrad_mmb.capture.elementwise import OPERATIONS
from tinygrad_mmb.capture.plan import Slot
from tinygrad_mmb.kernels.cpu.native import native

pytestmark = NEEDS_CPP


@pytest.fixture(autouse=True)
def kernels() -> None:
    """Those that stand in unasked."""


UNARY = ("positive", "negative", "absolute", "sqrt", "square", "reciprocal")
BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum")
COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
EXPONENTIALS = ("exp", "expm1", "log", "log1p", "tanh")
LOGICAL = ("logical_and", "logical_or")


def test_operations_are_named_as_in_numpy():
    assert {name for name in OPERATIONS if not hasattr(np, name)} == {"gate"}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", (*UNARY, *BINARY, *COMPARISONS, *EXPONENTIALS))
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_each_operation_gives_numpys_bits(name, data):
    shape, *arrays = data.draw(operands(1 if name in (*UNARY, *EXPONENTIALS) else 2))
    expected = np.broadcast_to(getattr(np, name)(*arrays), shape)
    y = np.empty(shape, expected.dtype)
    made = ByHand()
    made.add(name, tuple(made.array(x) for x in arrays), made.array(y))
    made.run()
    if name in EXPONENTIALS or name == "divide":  # by one number it is a product
        found = np.finfo(y.dtype)
        atol = 4 * found.smallest_subnormal
        np.testing.assert_allclose(y, expected, rtol=4 * found.eps, atol=atol)
    else:
        np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("name", LOGICAL)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_operations_on_booleans_between_comparisons(name, data):
    shape, a, b = data.draw(operands(2))
    with np.errstate(invalid="ignore"):
        expected = np.broadcast_to(a * getattr(np, name)(~(a < b), a == a), shape)
    bools = [np.empty(shape, bool) for _ in range(4)]
    y = np.empty(shape, a.dtype)
    made = ByHand()
    x, z, out = made.array(a), made.array(b), made.array(y)
    less, no, same, both = [made.array(p) for p in bools]
    made.add("less", (x, z), less, inner=True)
    made.add("invert", (less,), no)
    made.add("equal", (x, x), same, inner=True)
    made.add(name, (no, same), both, inner=True)
    made.add("multiply", (x, both), out)
    with np.errstate(all="ignore"):
        made.run()
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(bools[1], np.broadcast_to(~(a < b), shape))


@given(operands(1), st.sampled_from(["add.reduce", "maximum.reduce", "minimum.reduce"]),
       st.data())  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_reductions_over_neighbouring_dimensions(drawn, name, data):
    x = np.ascontiguousarray(drawn[1])
    if not x.ndim:
        return
    first = data.draw(st.integers(0, x.ndim - 1))
    last = data.draw(st.integers(first, x.ndim - 1))
    axis, keepdims = tuple(range(first, last + 1)), data.draw(st.booleans())
    with np.errstate(all="ignore"):
        reduce = getattr(np, name.split(".")[0]).reduce
        expected = np.asarray(reduce(x, axis=axis, keepdims=keepdims))
        wide = np.asarray(reduce(x.astype(np.longdouble), axis=axis, keepdims=keepdims))
    y = np.empty_like(expected)
    made = ByHand()
    made.add(name, (made.array(x),), made.array(y), axis=axis, keepdims=keepdims)
    made.run()
    if name != "add.reduce":
        np.testing.assert_array_equal(y, expected)
    elif np.isfinite(wide).all() and np.abs(x).sum(dtype=np.longdouble) < np.finfo(x.dtype).max:
        bound = np.abs(x.astype(np.longdouble)).sum(axis, keepdims=keepdims)
        assert (np.abs(y - wide) <= x.size * np.finfo(x.dtype).eps * bound + 1e-44).all()


@pytest.mark.parametrize("shape", [(70000,), (3, 300, 700), (1000, 900)])
def test_long_sums_are_as_exact_as_numpys(shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for axis in range(x.ndim):
        y = np.empty_like(x.sum(axis))
        made = ByHand()
        made.add("add.reduce", (made.array(x),), made.array(y), axis=axis)
        made.run()
        exact = x.sum(axis, dtype=np.float64)
        ours, theirs = np.abs(y - exact).max(), np.abs(x.sum(axis) - exact).max()
        assert ours <= 2 * theirs


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)])
@given(sizes=st.tuples(*[st.integers(1, 70)] * 3), seed=st.integers(0, 9))
@settings(max_examples=10, deadline=None)
def test_products_of_matrices_that_lie_in_rows_and_columns(dtype, transposed, sizes, seed):
    m, n, k = sizes
    rng = np.random.default_rng(seed)
    a, b = [
        rng.standard_normal((q, p) if t else (p, q)).astype(dtype).T
        if t
        else rng.standard_normal((p, q)).astype(dtype)
        for (p, q), t in zip([(m, k), (k, n)], transposed, strict=True)
    ]
    assert_product(multiplied(a, b), a, b)


@given(operands(1), st.data())
@settings(max_examples=60, deadline=None)
def test_copies_from_any_layout(drawn, data):
    x = drawn[1]
    x = x.transpose(data.draw(st.permutations(range(x.ndim))))
    wide = (data.draw(st.integers(1, 3)), *x.shape)
    expected = np.broadcast_to(x, wide)
    y = np.empty(wide, x.dtype)
    made = ByHand()
    made.add("copy", (made.array(x),), made.array(y))
    made.run()
    assert y.tobytes() == expected.tobytes()


def test_long_rows_are_copied_by_several_threads():
    x = np.random.default_rng(0).standard_normal((3, 700, 1000), dtype=np.float32)
    before = native.threads()
    try:
        for threads in (1, 3):
            native.set_threads(threads)
            y = np.empty((700, 3, 1000), np.float32)
            made = ByHand()
            made.add("copy", (made.array(x.transpose(1, 0, 2)),), made.array(y))
            made.run()
            np.testing.assert_array_equal(y, x.transpose(1, 0, 2))
    finally:
        native.set_threads(before)


def test_a_group_reads_what_an_earlier_instruction_wrote_in_place():
    p, g = np.ones(1000, np.float32), np.full(1000, 3, np.float32)
    made = ByHand()
    here, grad, step = made.array(p), made.array(g), made.array(np.empty(1000, np.float32))
    made.add("multiply", (grad, Slot(0)), step, inner=True)
    made.add("subtract", (here, step), here)
    made.add("square", (here,), grad)
    made.plan.scalars.append("0.5")
    made.run()
    np.testing.assert_array_equal(p, np.full(1000, -0.5))
    np.testing.assert_array_equal(g, np.full(1000, 0.25))


@pytest.mark.parametrize(("floats", "bits"), [(np.float32, np.int32), (np.float64, np.int64)])
def test_a_gate_on_the_bits_of_floats_keeps_nan_and_clears_the_sign(floats, bits):
    x = np.array([1.5, -2.0, np.nan, -np.inf, -0.0] * 70, floats)
    mask, y = np.arange(350) % 3 > 0, np.empty(350, floats)
    made = ByHand()
    ins = made.array(x)._replace(dtype=np.dtype(bits)), made.array(mask)
    made.add("multiply", ins[::-1], made.array(y)._replace(dtype=np.dtype(bits)))
    made.run()
    assert y.tobytes() == np.where(mask, x, floats(0)).tobytes()


def test_zeros_of_two_signs_are_two_constants():
    x = np.ones(300, np.float32)
    y, z = np.empty_like(x), np.empty_like(x)
    made = ByHand()
    one = made.array(x)
    made.add("multiply", (one, 0.0), made.array(y))
    made.add("multiply", (one, -0.0), made.array(z))
    made.run()
    assert not np.signbit(y).any() and np.signbit(z).all()


@pytest.mark.parametrize("number", [3.0, 0.0, 1e-40, 1e39, float("inf"), -7])
def test_quotients_by_one_number(number):
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    y = np.empty_like(x)
    made = ByHand()
    made.add("divide", (made.array(x), number), made.array(y))
    made.run()
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(y, x / np.float32(number), rtol=2e-7, atol=0)
