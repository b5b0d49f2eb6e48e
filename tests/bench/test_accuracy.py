"""Which error is rounding, and which is a mistake."""

import math

import numpy as np
import pytest

from tinygrad_mmb.bench.accuracy import error, tolerance, worst_place
from tinygrad_mmb.bench.bfloat16 import bits_of, numbers_of


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("depth", [1, 100, 10_000])
def test_a_sum_in_its_own_order_is_within_the_tolerance(dtype, depth):
    rng = np.random.default_rng(depth)
    x = rng.standard_normal((20, depth)).astype(dtype)
    wide = x.astype(np.float64).sum(1)
    summed = np.zeros(20, "float32" if dtype == "float16" else dtype)
    for column in x.T:
        summed = summed + column.astype(summed.dtype)
    assert error([wide], [summed.astype(dtype)]) <= tolerance(dtype, depth)


@pytest.mark.parametrize("depth", [64, 4096])
def test_a_forgotten_term_is_beyond_the_tolerance(depth):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((30, depth)), rng.standard_normal((depth, 30))
    assert error([a @ b], [a[:, 1:] @ b[1:]]) > 100 * tolerance("float32", depth)


def test_the_error_is_relative_to_the_largest_entry():
    assert error([np.array([0.0, 100.0])], [np.array([1.0, 100.0])]) == pytest.approx(0.01)
    assert error([np.zeros(3)], [np.array([0.0, 0.5, 0.0])]) == 0.5


@pytest.mark.parametrize(
    "found",
    [
        [np.zeros(3)],  # another shape
        [np.zeros(2), np.zeros(2)],  # one too many
        [np.array([np.nan, 0.0])],
        [np.array([np.inf, 0.0])],
        [None],
    ],
)
def test_what_does_not_fit_is_infinitely_wrong(found):
    assert error([np.zeros(2)], found) == math.inf


def test_nan_and_infinity_count_as_right_where_they_are_expected():
    expected = np.array([np.nan, -np.inf, 1.0])
    assert error([expected], [expected.copy()]) == 0.0
    assert error([expected], [np.array([np.nan, np.inf, 1.0])]) == math.inf
    assert error([None, expected], [None, expected]) == 0.0


def test_the_worst_place_is_named():
    e = np.zeros((2, 3))
    f = e.copy()
    f[1, 2] = 0.5
    assert worst_place([e], [f]) == "at [1, 2] 0.5 came, but 0 was expected"
    assert worst_place([e], [e[0]]) == "the result has shape (3,), but (2, 3) was expected"
    assert worst_place([e, e], [e]) == "1 results came, but 2 were expected"
    f[0, 0] = np.nan
    assert worst_place([e], [f]) == "at [0, 0] nan came, but 0 was expected"
    assert worst_place([e, None], [e, e]) == "result 1 is not expected"


def test_bfloat16_rounds_to_the_nearest_and_ties_to_even():
    x = np.array([1.0, 1.0 + 2**-8, 1.0 + 3 * 2**-8, 1.0 + 2**-8 + 2**-20, -3.0e38], np.float32)
    found = numbers_of(bits_of(x))
    np.testing.assert_array_equal(found[:4], [1.0, 1.0, 1.0 + 2**-6, 1.0 + 2**-7])
    assert abs(found[4] / x[4] - 1) < 2**-8


@pytest.mark.torch
def test_bfloat16_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    expected = torch.from_numpy(x).to(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(numbers_of(bits_of(x)), expected)
