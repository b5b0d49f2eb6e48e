"""abs, sign, floor, ceil, round."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch

SAMPLES = np.array([-np.inf, -2.5, -1.5, -0.4, -0.0, 0.0, 0.5, 1.5, 123.456, np.inf, np.nan])


@pytest.mark.torch
@pytest.mark.parametrize("name", ["abs", "absolute", "sign", "floor", "ceil", "round"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "float16", "float32", "float64"])
def test_rounding_agrees_with_torch(name, dtype):
    x = SAMPLES.astype(dtype) if dtype.startswith("f") else np.array([0, 1, 200]).astype(dtype)
    same_as_torch(lambda module, x: getattr(module, name)(x), x)


@pytest.mark.torch
@pytest.mark.parametrize("decimals", [-2, -1, 0, 1, 3])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_rounding_to_decimals_agrees_with_torch(decimals, dtype):
    same_as_torch(lambda module, x: module.round(x, decimals=decimals), SAMPLES[1:-2].astype(dtype))


def test_halves_round_to_the_even_neighbour():
    assert tm.round(tm.tensor([0.5, 1.5, 2.5, -0.5])).tolist() == [0.0, 2.0, 2.0, 0.0]


def test_the_sign_of_nan_is_zero():
    assert tm.sign(tm.tensor([float("nan"), -3.0])).tolist() == [0.0, -1.0]


def test_a_staircase_is_flat():
    x = tm.tensor([0.3, -1.7], requires_grad=True)
    (x.floor() + x.ceil() + x.round() + x.sign()).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", ["abs", "floor", "ceil", "round"])
def test_bools_are_refused(name):
    with pytest.raises(NotImplementedError, match=f"{name} is not implemented for Bool"):
        getattr(tm, name)(tm.tensor([True]))


def test_integers_have_no_decimals():
    with pytest.raises(NotImplementedError, match="int64"):
        tm.round(tm.tensor([125]), decimals=-1)
