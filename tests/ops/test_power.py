"""Powers and roots: corner cases of PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch

CORNERS = np.array([-np.inf, -2.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, np.inf, np.nan])


@pytest.mark.torch
@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, -1, -2, 0.5, -0.5, 1.5, True, float("nan")])
def test_powers_with_a_number_above_agree_with_torch(exponent):
    same_as_torch(lambda module, x: x**exponent, CORNERS)
    same_as_torch(lambda module, x: x**exponent, CORNERS.astype(np.float32))


@pytest.mark.torch
@pytest.mark.parametrize("base", [0, 1, 2, 0.5, -1.5])
def test_powers_of_a_number_agree_with_torch(base):
    same_as_torch(lambda module, x: base**x, CORNERS)


@pytest.mark.torch
def test_powers_of_tensors_agree_with_torch_at_every_pair_of_corners():
    a, b = (x.ravel() for x in np.meshgrid(CORNERS, CORNERS))
    same_as_torch(lambda module, x, y: x**y, a, b)


@pytest.mark.torch
@pytest.mark.parametrize("exponent", [0, 2, 255, 300, -1, 2.5, True, 2**40])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int64", "float16"])
def test_integer_powers_and_their_refusals_agree_with_torch(exponent, dtype):
    same_as_torch(lambda module, x: x**exponent, np.array([0, 1, 3]).astype(dtype))


def test_an_integer_below_the_line_rounds_to_zero():
    assert (tm.tensor([2, 1, -1, -1]) ** tm.tensor([-1, -5, -2, -3])).tolist() == [0, 1, 1, -1]


def test_zero_to_the_zero_is_one_and_has_gradient_zero():
    x, y = tm.tensor([0.0], requires_grad=True), tm.tensor([0.0], requires_grad=True)
    z = x**y
    z.backward()
    assert (z.item(), x.grad.item(), y.grad.item()) == (1.0, 0.0, 0.0)


def test_an_integer_to_a_negative_number_is_refused():
    with pytest.raises(RuntimeError, match="Integers to negative integer powers are not allowed"):
        tm.tensor([2]) ** -1


def test_an_exponent_that_does_not_fit_is_refused():
    with pytest.raises(RuntimeError, match="cannot be converted to uint8"):
        tm.tensor([2], dtype=tm.uint8) ** 300


def test_powers_of_bools_are_refused():
    with pytest.raises(NotImplementedError, match="Bool"):
        tm.tensor([True]) ** tm.tensor([True])


@pytest.mark.torch
@pytest.mark.parametrize("name", ["sqrt", "rsqrt", "reciprocal", "square"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16", "float32", "float64"])
def test_roots_agree_with_torch(name, dtype):
    with np.errstate(invalid="ignore"):
        x = CORNERS.astype(dtype) if dtype.startswith("f") else np.array([0, 1, 4]).astype(dtype)
    same_as_torch(lambda module, x: getattr(module, name)(x), x)
