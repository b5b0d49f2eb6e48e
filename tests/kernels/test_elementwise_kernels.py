"""Elementwise formulas as CUDA kernels, on the emulator: any size, address and layout."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.kernels.emulation import (
    EPS,
    assert_same_bits,
    in_every_order,
    moved,
    on_kernels,
    profile,
)
from tinygrad_mmb import ops
from tinygrad_mmb.autograd.gradcheck import gradcheck
from tinygrad_mmb.kernels.launch import elements

RNG = np.random.default_rng(6)
SIZES = st.sampled_from([0, 1, 2, 3, 4, 5, 8, 31, 255, 257, 1023, 1025, 4099])
DTYPES = st.sampled_from(["float16", "float32", "float64"])
FORMULAS = {
    "neg": np.negative,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "erf": np.vectorize(math.erf, otypes=[float]),
    "relu": lambda x: np.maximum(0, x),
}
FOUR = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}


def numbers(shape, dtype, name="exp"):
    x = RNG.uniform(0.1, 3.0, shape) if name in ("log", "sqrt") else RNG.uniform(-3, 3, shape)
    return x.astype(dtype)


@settings(max_examples=80)
@given(name=st.sampled_from(sorted(FORMULAS)), n=SIZES, dtype=DTYPES, by=st.integers(0, 3))
def test_formulas_of_any_size_at_any_address(name, n, dtype, by):
    x = moved(numbers(n, dtype, name), by)
    y = on_kernels(getattr(ops, name), x)
    expected = FORMULAS[name](x.astype(np.float64))
    assert (y.dtype, y.shape) == (x.dtype, x.shape)
    # the functions of CUDA and of C are right to a few units in the last place
    eps = EPS[dtype] + 8 * EPS["float64" if dtype == "float64" else "float32"]
    np.testing.assert_allclose(y, expected, rtol=4 * eps, atol=4 * eps)


@pytest.mark.parametrize("name", [n for n in FORMULAS if n != "neg"])
def test_gradients_pass_the_gradient_check_through_the_kernels(name):
    x = tm.tensor(numbers((3, 7), "float64", name), requires_grad=True)
    assert on_kernels(gradcheck, getattr(ops, name), (x,))


@pytest.mark.parametrize("name", sorted(FORMULAS))
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_no_order_of_threads_changes_a_bit_and_the_checker_is_silent(name, dtype):
    def there_and_back(x):
        t = tm.from_numpy(x).requires_grad_()
        y = getattr(ops, name)(t)
        with tm.use_kernels("emulator"):  # the way back of Neg is the reference's
            y.backward(tm.ones(y.shape, dtype=y.dtype))
        return np.stack([y.detach().numpy(), t.grad.numpy()])

    assert_same_bits(in_every_order(there_and_back, moved(numbers(1029, dtype, name), 1)))


@pytest.mark.parametrize("x", [
    RNG.standard_normal((5, 7)).T,
    RNG.standard_normal((5, 8))[:, ::2],
    RNG.standard_normal((3, 4, 5)).transpose(1, 2, 0),
    RNG.standard_normal((6, 5))[::-1],
    np.broadcast_to(RNG.standard_normal(4), (3, 4)),
    np.array(0.5),
], ids=["transposed", "every second", "permuted", "reversed", "expanded", "0-d"])  # fmt: skip
def test_any_layout_gives_what_the_reference_gives_and_lies_as_it(x):
    with tm.use_kernels("reference"):
        expected = ops.tanh(x)
    y = on_kernels(ops.tanh, x)
    np.testing.assert_allclose(y, expected, rtol=1e-14)
    assert y.strides == expected.strides or not x.strides or 0 in x.strides or min(x.strides) < 0


def test_memory_without_gaps_is_told_from_memory_with_gaps():
    x = np.zeros((3, 4, 5))
    assert elements.lies_dense(x) and elements.lies_dense(x.transpose(2, 0, 1))
    assert not elements.lies_dense(x[:, ::2]) and not elements.lies_dense(x[::-1])
    assert elements.lies_dense(np.zeros((1, 3))[:, :1]) and elements.lies_dense(np.zeros(()))


@pytest.mark.parametrize("x", [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, 100.0, -100.0])
@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_special_values_give_what_the_reference_gives(name, x):
    x = np.full(5, x, np.float32)
    with tm.use_kernels("reference"), np.errstate(all="ignore"):
        expected = getattr(ops, name)(x)
    y = on_kernels(getattr(ops, name), x)
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-43)
    number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(y[number]), np.signbit(expected[number]))


def test_the_gradient_of_relu_passes_where_y_is_nan_and_nowhere_at_zero():
    x = tm.tensor([np.nan, 0.0, -0.0, -1.0, 2.0], requires_grad=True)
    on_kernels(lambda: ops.relu(x).backward(tm.full((5,), np.inf)))
    assert x.grad.tolist() == [np.inf, 0.0, 0.0, 0.0, np.inf]


BROADCASTS = [
    ((), (3, 4)), ((1,), (5,)), ((3, 1), (1, 4)), ((2, 3, 4), (4,)), ((2, 3, 4), (3, 1)),
    ((2, 1, 4, 1), (3, 1, 5)), ((1000, 1), (1, 3)), ((2, 3, 4, 5), (3, 1, 1)), ((0, 3), (3,)),
    ((1, 1), (1, 1)), ((257, 300), (300,)), ((2, 1, 2, 1, 2, 1), (2, 1, 2, 1, 2)),
]  # fmt: skip


@pytest.mark.parametrize("shapes", BROADCASTS, ids=str)
@pytest.mark.parametrize("name", ["add", "div"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_operands_of_all_shapes_that_meet(shapes, name, dtype):
    a, b = (numbers(s, dtype) for s in shapes)
    with tm.use_kernels("emulator"):
        for p, q in ((a, b), (b, a)):
            y = getattr(ops, name)(p, q)
            np.testing.assert_array_equal(y, FOUR[name](p, q))
            assert y.dtype == p.dtype


def test_more_than_four_dimensions_are_declined_unless_they_run_on():
    a, b = numbers((2, 1, 2, 1, 2), "float64"), numbers((2, 1, 2, 1), "float64")
    with pytest.raises(RuntimeError, match="twin of Add declined"):
        on_kernels(ops.add, a, b)
    a, b = numbers((2, 3, 2, 3, 2), "float64"), numbers((2, 3, 2, 3, 2), "float64")
    np.testing.assert_array_equal(on_kernels(ops.add, a, b), a + b)
    np.testing.assert_array_equal(on_kernels(ops.add, a, b[:, :, :, :1]), a + b[:, :, :, :1])


@settings(max_examples=40)
@given(name=st.sampled_from(sorted(FOUR)), n=SIZES, by=st.integers(0, 3))
def test_a_number_on_either_side(name, n, by):
    x = tm.from_numpy(moved(RNG.uniform(0.5, 2.0, n).astype("float32"), by))
    right = on_kernels(getattr(tm, name), x, 2.5).numpy()
    left = on_kernels(getattr(tm, name), tm.tensor(2.5), x).numpy()
    np.testing.assert_allclose(right, FOUR[name](x.numpy(), 2.5), rtol=2.0**-23)
    np.testing.assert_allclose(left, FOUR[name](2.5, x.numpy()), rtol=2.0**-23)


def test_operands_that_lie_differently_give_a_result_that_lies_as_the_first():
    a, b = numbers((4, 6), "float64").T, numbers((6, 4), "float64")
    y = on_kernels(lambda: ops.mul(tm.from_numpy(a), tm.from_numpy(b))).numpy()
    np.testing.assert_array_equal(y, a * b)
    assert y.strides == a.strides


def test_broadcasting_is_silent_under_the_checker_in_every_order():
    for shapes in BROADCASTS[:9]:
        assert_same_bits(in_every_order(ops.mul, *(numbers(s, "float32") for s in shapes)))


@pytest.mark.parametrize(
    ("suffix", "dtype"), [("f16", "float16"), ("f32", "float32"), ("f64", "float64")]
)
def test_a_thread_moves_16_bytes_at_a_time_there_and_back(suffix, dtype):
    x = moved(numbers(4096, dtype), 0)
    there = profile(f"exp_{suffix}", ops.exp, x)
    t = tm.tensor(x, requires_grad=True)
    with tm.use_kernels("emulator", strict=True):
        y = ops.exp(t)
    g = tm.tensor(moved(np.ones_like(x), 0))
    back = profile(f"exp_slope_{suffix}", y.backward, g)
    warps = x.nbytes // (16 * 32)
    for found, arrays in ((there, 2), (back, 3)):
        found = [a for a in found if a.space == "global"]
        assert sum(a.requests for a in found) == arrays * warps
        # an array of NumPy's may begin in the middle of a sector: 17 of them for 16
        assert all(a.ratio <= 17 / 16 for a in found)


def test_two_operands_are_read_16_bytes_at_a_time():
    a, b = (moved(numbers(4096, "float32"), 0) for _ in range(2))
    found = [v for v in profile("add_f32", ops.add, a, b) if v.space == "global"]
    assert sum(v.requests for v in found) == 3 * a.nbytes // (16 * 32)
    assert all(v.ratio <= 17 / 16 for v in found)
