"""Comparisons, logic and bits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch

DTYPES = ["bool", "uint8", "int16", "int64", "float16", "float32", "float64"]
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]
LOGIC = ["logical_and", "logical_or", "logical_xor"]
BITS = ["bitwise_and", "bitwise_or", "bitwise_xor"]
ALIASES = [
    ("not_equal", "ne"),
    ("less", "lt"),
    ("less_equal", "le"),
    ("greater", "gt"),
    ("greater_equal", "ge"),
]


def values(dtype):
    return np.array([0, 1, 2, 1, 100, 7]).astype(dtype)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "a", "b"), list(itertools.product([*COMPARISONS, *LOGIC, *BITS], DTYPES, DTYPES))
)
def test_two_tensors_compare_as_in_torch(name, a, b):
    same_as_torch(lambda module, x, y: getattr(module, name)(x, y), values(a), values(b)[::-1])


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "dtype"), list(itertools.product([*COMPARISONS, *LOGIC, *BITS], DTYPES))
)
def test_a_tensor_and_a_number_compare_as_in_torch(name, dtype):
    for number in (True, 1, -1, 300, 1.5, float("nan")):
        same_as_torch(lambda module, x, n=number: getattr(module, name)(x, n), values(dtype))


@pytest.mark.torch
@pytest.mark.parametrize("name", ["isnan", "isinf", "isfinite", "logical_not", "bitwise_not"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_questions_about_one_tensor_are_answered_as_in_torch(name, dtype):
    special = np.array([0.0, -0.0, 1.0, np.inf, -np.inf, np.nan])
    x = special.astype(dtype) if dtype.startswith("f") else values(dtype)
    same_as_torch(lambda module, x: getattr(module, name)(x), x)


@pytest.mark.torch
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32"])
def test_closeness_is_torchs(dtype):
    a, b = values(dtype), values(dtype)[::-1]
    for options in ({}, {"rtol": 1}, {"atol": 1.0}, {"rtol": 0, "atol": 0}, {"rtol": -1}):
        same_as_torch(lambda module, x, y, o=options: module.isclose(x, y, **o), a, b)
        same_as_torch(
            lambda module, x, y, o=options: module.tensor(module.allclose(x, y, **o)), a, b
        )


@pytest.mark.parametrize(("alias", "name"), ALIASES)
def test_second_names_mean_the_same(alias, name):
    x, y = tm.tensor([1.0, 2.0]), tm.tensor([1.0, 3.0])
    assert getattr(tm, alias)(x, y).tolist() == getattr(tm, name)(x, y).tolist()
    assert getattr(x, alias)(y).tolist() == getattr(x, name)(y).tolist()


@pytest.mark.parametrize("f", [tm.isclose, tm.allclose])
def test_equal_nan_is_true_or_false(f):
    with pytest.raises(TypeError, match=r"argument 'equal_nan' must be bool, not int"):
        f(tm.ones(2), tm.ones(2), equal_nan=1)


def test_operators_of_masks():
    a, b = tm.tensor([True, True, False]), tm.tensor([True, False, False])
    assert (a & b).tolist() == [True, False, False]
    assert (a | b).tolist() == [True, True, False]
    assert (a ^ b).tolist() == [False, True, False]
    assert (~a).tolist() == [False, False, True]
    assert (6 & tm.tensor([3])).tolist() == [2]


def test_equal_asks_for_shape_and_values():
    assert tm.equal(tm.ones(2), tm.ones(2))
    assert not tm.equal(tm.ones(2), tm.ones(1))
    assert not tm.equal(tm.tensor([float("nan")]), tm.tensor([float("nan")]))


def test_nan_is_close_to_nan_only_if_one_says_so():
    x = tm.tensor([1.0, float("nan")])
    assert not tm.allclose(x, x)
    assert tm.allclose(x, x, equal_nan=True)


def test_answers_carry_no_gradient():
    x = tm.tensor([1.0, 2.0], requires_grad=True)
    assert not (x > 1.5).requires_grad


def test_a_comparison_is_not_written_into_what_needs_a_gradient():
    x = tm.tensor([1.0], requires_grad=True) * 2
    with pytest.raises(NotImplementedError, match="carry none"):
        x.eq_(1.0)


def test_dtypes_of_close_tensors_must_agree():
    with pytest.raises(RuntimeError, match="int64 did not match float32"):
        tm.allclose(tm.tensor([1]), tm.tensor([1.0]))


def test_bits_of_floats_are_refused():
    with pytest.raises(NotImplementedError, match="float32"):
        tm.ones(2) & tm.ones(2)


def test_a_number_is_no_first_operand():
    with pytest.raises(TypeError, match="argument 1 must be Tensor, not int"):
        tm.eq(2, tm.ones(2))


def test_shapes_must_broadcast():
    with pytest.raises(RuntimeError, match=r"size of tensor a \(2\) must match"):
        tm.ones(2) == tm.ones(3)  # noqa: B015
