"""The C++ twins of sums, means and extremes: any dimensions, their digits, numbers of threads."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.cpu.any_threads import assert_same_bits
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.cpu import reduction
from tinygrad_mmb.kernels.cpu.native import native

pytestmark = pytest.mark.skipif(native is None, reason="no C++ here")

SIDES = st.sampled_from([1, 2, 3, 7, 10, 16, 17, 33, 64, 130])
DTYPES = st.sampled_from([np.float32, np.float64])


def random(shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@st.composite
def reductions(draw):
    """(x, dims, keepdim) with up to four dimensions, of which some go."""
    shape = draw(st.lists(SIDES, min_size=1, max_size=4).filter(lambda s: math.prod(s) < 300_000))
    going = draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
    dims = tuple(d for d, goes in enumerate(going) if goes)
    return random(shape, draw(DTYPES)), dims or None, draw(st.booleans())


@given(reductions())
def test_sums_and_means_over_any_dimensions(case):
    x, dims, keepdim = case
    exact = x.astype(np.longdouble).sum(dims, keepdims=keepdim)
    size = np.abs(x).astype(float).sum(dims, keepdims=keepdim)
    found = reduction.sum(x, dims, keepdim)
    assert (found.dtype, found.shape) == (x.dtype, np.shape(exact))
    assert (np.abs(found - exact) <= 8 * np.finfo(x.dtype).eps * size).all()
    mean = reduction.mean(x, dims, keepdim)
    count = x.size // found.size
    np.testing.assert_allclose(mean, found / count, rtol=2 * np.finfo(x.dtype).eps)


@given(reductions())
def test_extremes_over_any_dimensions(case):
    x, dims, keepdim = case
    for own, numpy in ((reduction.amax, np.max), (reduction.amin, np.min)):
        expected = numpy(x, dims, keepdims=keepdim)
        found = own(x, dims, keepdim)
        assert (found.dtype, found.shape) == (x.dtype, expected.shape)
        np.testing.assert_array_equal(found, expected)


@given(reductions(), st.lists(st.sampled_from([np.nan, np.inf, -np.inf, 0.0]), min_size=1),
       st.sampled_from([0.01, 0.5, 1.0]))  # fmt: skip
def test_extremes_of_what_is_not_finite(case, values, share):
    x, dims, keepdim = case
    rng = np.random.default_rng(0)
    x = np.where(rng.random(x.shape) < share, rng.choice(values, x.shape), x).astype(x.dtype)
    for own, numpy in ((reduction.amax, np.max), (reduction.amin, np.min)):
        np.testing.assert_array_equal(own(x, dims, keepdim), numpy(x, dims, keepdims=keepdim))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(40, 5), (40, 33), (3, 5000), (5000, 3)])
@pytest.mark.parametrize("dim", [0, 1])
def test_one_number_that_is_not_finite_is_found_wherever_it_is(value, shape, dim):
    x = random(shape)
    for place in ((0, 0), (shape[0] - 1, shape[1] - 1), (shape[0] // 2, shape[1] // 2)):
        y = x.copy()
        y[place] = value
        np.testing.assert_array_equal(reduction.amax(y, (dim,), False), y.max(dim))
        np.testing.assert_array_equal(reduction.amin(y, (dim,), False), y.min(dim))
        found, expected = reduction.sum(y, (dim,), False), y.sum(dim)
        np.testing.assert_array_equal(found[~np.isfinite(found)], expected[~np.isfinite(found)])
        assert (np.isfinite(found) == np.isfinite(expected)).all()


def root_mean_square(function, draws, exact):
    off = [function(x).astype(float) - e for x, e in zip(draws, exact, strict=True)]
    return np.sqrt(np.mean(np.square(off)))


@pytest.mark.parametrize(
    ("shape", "dims"),
    [
        ((300_000,), (0,)),
        ((20, 3000), (1,)),
        ((200, 10), (1,)),
        ((5000, 3), (0,)),
        ((999, 40), (0,)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("positive", [False, True])
def test_no_digit_less_than_the_pairwise_sums_of_numpy(shape, dims, dtype, positive):
    draws = [random(shape, dtype, seed) for seed in range(30)]
    draws = [np.abs(x) for x in draws] if positive else draws
    lines = [x.astype(float) if dims == (1,) else x.T.astype(float) for x in draws]
    exact = [np.array([math.fsum(line) for line in np.atleast_2d(part)]) for part in lines]
    own = root_mean_square(lambda x: reduction.sum(x, dims, False).reshape(-1), draws, exact)
    numpys = root_mean_square(lambda x: np.add.reduce(x, dims).reshape(-1), draws, exact)
    assert own <= 1.25 * numpys  # of 30 sums both are known to some 13 %


def test_a_sum_of_millions_of_numbers_is_as_exact_as_one_of_few():
    x = np.full((1, 20_000_000), 0.1, np.float32)
    found = reduction.sum(x, (1,), False)
    np.testing.assert_allclose(found, x.size * float(x[0, 0]), rtol=2e-7)


@pytest.mark.parametrize(
    ("shape", "dims"),
    [
        ((300_000,), (0,)),
        ((3, 200_001), (1,)),
        ((40_000, 7), (0,)),
        ((300, 9000), (0,)),
        ((8, 9, 28, 28), (0, 2, 3)),
        ((70_000, 3), (1,)),
    ],
)
def test_the_bits_do_not_depend_on_the_number_of_threads(shape, dims):
    x = random(shape)
    assert_same_bits(lambda: [f(x, dims, False) for f in (reduction.sum, reduction.amax)])


def counts(key):
    (twin,) = [twin for twin in registry.twins(key) if twin.backend == "cpu"]
    return twin.calls, twin.declines


@pytest.mark.parametrize(
    ("key", "run", "taken"),
    [
        ("Sum", lambda x: x.sum(0), True),
        ("Sum", lambda x: x.T.sum(1), False),  # not in rows
        ("Sum", lambda x: x.sum(), True),
        ("Sum", lambda x: x[:0].sum(), False),
        ("Sum", lambda x: x[:12].sum(), False),  # few numbers, in NumPy's order
        ("Sum", lambda x: x.reshape(2, 100, 10).sum(0), False),  # 1000 numbers side by side
        ("Sum", lambda x: x.half().sum(0), False),
        ("Sum", lambda x: x.reshape(200, 10, *[1] * 15).sum(0), False),  # 17 dimensions
        ("Mean", lambda x: x.mean(1), True),
        ("Amax", lambda x: x.amax(1), True),
        ("Amin", lambda x: x.amin((0, 1)), False),  # as fast as memory in NumPy
        ("Amin", lambda x: x.amin(0), True),
        ("SumTo", lambda x: tm.ops.sum_to(x, (1, 10)), True),
        ("SumTo", lambda x: tm.ops.sum_to(x, (10,)), True),
        ("SumTo", lambda x: tm.ops.sum_to(x[:, ::2], (5,)), False),
    ],
)
def test_what_numpy_does_as_well_is_left_to_it(key, run, taken):
    x = tm.from_numpy(random((200, 10)))
    with tm.use_kernels(registry.REFERENCE):
        expected = run(x).numpy()
    before = counts(key)
    with tm.use_kernels("cpu"):
        found = run(x).numpy()
    assert counts(key) == (before[0] + taken, before[1] + (not taken))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_shape_that_x_was_not_broadcast_from_is_refused_as_without_twins():
    with tm.use_kernels("cpu"), pytest.raises(RuntimeError, match="cannot be summed to shape"):
        tm.ops.sum_to(tm.ones(200, 10), (5, 10))


def test_the_gradient_of_a_bias_that_was_broadcast():
    x, bias = random((1000, 10), np.float64), tm.zeros(10, dtype=tm.float64).requires_grad_()
    before = counts("SumTo")
    with tm.use_kernels("cpu"):
        ((tm.from_numpy(x) + bias) * tm.from_numpy(x)).sum().backward()
    np.testing.assert_allclose(bias.grad.numpy(), [math.fsum(c) for c in x.T], rtol=1e-12)
    assert counts("SumTo")[0] > before[0]


def test_few_numbers_ask_no_twin():
    before = counts("Sum")
    with tm.use_kernels("auto"):
        tm.ones(4, 4).requires_grad_().sum().backward()
    assert counts("Sum") == before
