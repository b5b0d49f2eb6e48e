"""Logarithms, exponentials, sigmoid, erf, and the angles beside them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch

UNARY = [
    *("exp", "log", "log2", "log1p", "expm1", "sigmoid", "erf"),
    *("sin", "cos", "tan", "sinh", "cosh", "tanh"),
]
SAMPLES = np.array([-np.inf, -30.0, -1.5, -0.5, -0.0, 0.0, 1e-3, 0.25, 1.0, 5.5, np.inf, np.nan])


@pytest.mark.torch
@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", "float64"])
def test_unary_ops_agree_with_torch(name, dtype):
    x = SAMPLES.astype(dtype) if dtype.startswith("f") else np.array([0, 1, 2]).astype(dtype)
    same_as_torch(lambda module, x: getattr(module, name)(x), x)
    same_as_torch(lambda module, x: getattr(x * 1, name + "_")(), x)


def test_erf_is_right_to_the_last_digits_against_the_c_library():
    x = np.concatenate([np.linspace(-7, 7, 20001), 10.0 ** np.arange(-300, 1)])
    expected = np.array([math.erf(v) for v in x])
    np.testing.assert_allclose(tm.ops.erf(x), expected, rtol=2e-15, atol=0)


def test_sigmoid_neither_overflows_nor_loses_small_values():
    y = tm.sigmoid(tm.tensor([-700.0, -40.0, 0.0, 40.0, 700.0], dtype=tm.float64))
    expected = [math.exp(-700), math.exp(-40), 0.5, 1.0, 1.0]
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-15)


def test_small_arguments_keep_their_digits():
    x = tm.tensor([1e-12], dtype=tm.float64)
    assert x.expm1().item() == pytest.approx(1e-12, rel=1e-11)
    assert x.log1p().item() == pytest.approx(1e-12, rel=1e-11)


def test_the_third_derivative_of_tanh_is_right():
    x = tm.tensor(0.7, dtype=tm.float64, requires_grad=True)
    y = tm.tanh(x)
    for _ in range(3):
        (y,) = tm.autograd.grad(y, x, create_graph=True)
    t = math.tanh(0.7)
    assert y.item() == pytest.approx((1 - t * t) * (6 * t * t - 2), abs=1e-12)


@pytest.mark.torch
def test_atan2_agrees_with_torch_in_every_quadrant_and_at_the_origin():
    a = np.array([0.0, -0.0, 1.0, -1.0, 2.0, 0.0, np.inf])
    b = np.array([0.0, -1.0, 0.0, -3.0, 0.5, 2.0, -np.inf])
    same_as_torch(lambda module, x, y: module.atan2(x, y), a, b)


def test_atan2_takes_tensors_only():
    with pytest.raises(TypeError, match="argument 2 must be Tensor, not float"):
        tm.atan2(tm.ones(2), 1.0)


def test_a_number_is_no_tensor():
    with pytest.raises(TypeError, match="expected a Tensor, but got float"):
        tm.exp(1.0)
