"""The exponentials of csrc/cpu/vector_math.hpp, against float64 and against Python's decimals."""

from __future__ import annotations

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest

from tinygrad_mmb.kernels.cpu.native import native

pytestmark = pytest.mark.skipif(native is None, reason="no C++ here")
getcontext().prec = 60
SMALLEST = {np.float32: 1.1754944e-38, np.float64: 2.2250738585072014e-308}

# Of float32: the function in float64, the range, and how many units in the last place it may err.
WIDE = {
    "exp": (np.exp, -104.0, 89.0, 1.2),
    "expm1": (np.expm1, -104.0, 89.0, 1.8),
    "log": (np.log, 0.0, 3.4e38, 1.0),
    "log1p": (np.log1p, -1.0, 3.4e38, 2.2),
    "tanh": (np.tanh, -20.0, 20.0, 2.8),
    "sigmoid": (lambda x: 1.0 / (1.0 + np.exp(-x)), -87.0, 110.0, 2.8),
    "erf": (np.vectorize(math.erf), -6.0, 6.0, 1.3),
}


def exact_exp(x: float) -> Decimal:
    return Decimal(x).exp()


def exact_tanh(x: float) -> Decimal:
    t = (2 * Decimal(x)).exp()
    return (t - 1) / (t + 1)


def exact_erf(x: float) -> Decimal:
    """2/√π Σ (-1)ⁿ x²ⁿ⁺¹ / (n! (2n + 1)): its terms stay below 10¹⁶ for |x| < 6."""
    root_of_pi = Decimal("1.7724538509055160272981674833411451827975494561224")
    x, term, total, n = Decimal(x), Decimal(x), Decimal(0), 0
    while abs(term) > Decimal("1e-45"):
        total += term / (2 * n + 1)
        n += 1
        term *= -x * x / n
    return 2 * total / root_of_pi


# Of float64, in 60 digits: enough for 1 ± 10⁻²⁰.
EXACT = {
    "exp": (exact_exp, -708.0, 709.0, 1.2),
    "expm1": (lambda x: Decimal(x).exp() - 1, -45.0, 709.0, 1.8),
    "log": (lambda x: Decimal(x).ln(), 0.0, 1e308, 1.0),
    "log1p": (lambda x: (1 + Decimal(x)).ln(), -1.0, 1e308, 2.2),
    "tanh": (exact_tanh, -22.0, 22.0, 2.8),
    "sigmoid": (lambda x: 1 / (1 + (-Decimal(x)).exp()), -700.0, 60.0, 2.8),
    "erf": (exact_erf, -5.9, 5.9, 4.0),
}


def mapped(name, x):
    y = np.empty_like(x)
    getattr(native, f"map_{name}")(y, x)
    return y


def spread_out(low, high, n, dtype, rng):
    """Numbers of all sizes between low and high, of both signs if these have both."""
    smallest = SMALLEST[dtype] / 8  # subnormal
    sizes = np.exp(rng.uniform(math.log(smallest), math.log(max(-low, high)), n))
    x = np.concatenate([rng.uniform(low, high, n), sizes, -sizes]).astype(dtype)
    return x[(x > low) & (x < high)]


@pytest.mark.parametrize("name", WIDE)
def test_a_function_of_float32_is_right_to_its_last_bits(name, rng):
    function, low, high, bound = WIDE[name]
    x = spread_out(low, high, 20_000, np.float32, rng)
    exact = function(x.astype(np.float64))
    x, exact = x[np.abs(exact) < 3.4028234e38], exact[np.abs(exact) < 3.4028234e38]
    unit = np.spacing(np.maximum(np.abs(exact), SMALLEST[np.float32]).astype(np.float32))
    error = np.abs(mapped(name, x) - exact) / unit
    assert error.max() < bound, f"{error.max():.2f} ulp at {x[error.argmax()]!r}"


@pytest.mark.parametrize("name", EXACT)
def test_a_function_of_float64_is_right_to_its_last_bits(name, rng):
    function, low, high, bound = EXACT[name]
    x = spread_out(low, high, 300, np.float64, rng)
    x = x if name == "log" else x[np.abs(x) > 1e-20]
    for value, y in zip(x.tolist(), mapped(name, x).tolist(), strict=True):
        exact = function(value)
        unit = Decimal(math.ulp(max(abs(float(exact)), SMALLEST[np.float64])))
        assert abs(Decimal(y) - exact) < Decimal(bound) * unit, value


@pytest.mark.parametrize(("name", "slope"), [("expm1", 1), ("log1p", 1), ("tanh", 1),
                                             ("erf", 2 / math.sqrt(math.pi))])  # fmt: skip
def test_near_0_a_function_is_its_tangent(name, slope):
    x = np.array([1e-20, -1e-20, 1e-300, -1e-300, 5e-324, -5e-324])
    np.testing.assert_allclose(mapped(name, x), slope * x, rtol=3e-16)
    x = np.array([1e-20, -1e-20, 1e-38, -1e-38, 1e-45], np.float32)
    np.testing.assert_allclose(mapped(name, x), np.float32(slope) * x, rtol=2e-7)


SPECIAL = [math.inf, -math.inf, math.nan, 0.0, -0.0]
VALUES = {  # at SPECIAL
    "exp": [math.inf, 0.0, math.nan, 1.0, 1.0],
    "expm1": [math.inf, -1.0, math.nan, 0.0, -0.0],
    "log": [math.inf, math.nan, math.nan, -math.inf, -math.inf],
    "log1p": [math.inf, math.nan, math.nan, 0.0, -0.0],
    "tanh": [1.0, -1.0, math.nan, 0.0, -0.0],
    "sigmoid": [1.0, 0.0, math.nan, 0.5, 0.5],
    "erf": [1.0, -1.0, math.nan, 0.0, -0.0],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", VALUES)
def test_infinities_nan_and_zeros_of_both_signs_go_where_they_should(name, dtype):
    y = mapped(name, np.array(SPECIAL, dtype))
    expected = np.array(VALUES[name], dtype)
    np.testing.assert_array_equal(y, expected)
    there = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(y)[there], np.signbit(expected)[there])


@pytest.mark.parametrize(
    ("dtype", "top", "bottom"), [(np.float32, 89.0, -104.0), (np.float64, 710.0, -746.0)]
)
def test_exp_overflows_and_vanishes_and_has_subnormal_results(dtype, top, bottom):
    limits = np.array([top, bottom, 1e30, -1e30], dtype)
    np.testing.assert_array_equal(mapped("exp", limits), [np.inf, 0, np.inf, 0])
    least = math.log(SMALLEST[dtype])
    x = np.linspace(least - 10, least, 50).astype(dtype)
    exact = [Decimal(v).exp() for v in x.tolist()]
    steps = np.finfo(dtype).smallest_subnormal
    errors = [abs(Decimal(float(y)) - e) for y, e in zip(mapped("exp", x), exact, strict=True)]
    assert max(errors) < Decimal(float(steps))


def test_a_result_does_not_depend_on_where_in_the_array_it_stands(rng):
    x = rng.standard_normal(67).astype(np.float32)
    whole = mapped("erf", x)
    one_by_one = np.concatenate([mapped("erf", x[i : i + 1]) for i in range(x.size)])
    np.testing.assert_array_equal(whole, one_by_one)
