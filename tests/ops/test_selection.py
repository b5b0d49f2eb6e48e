"""where, maximum, minimum, clamp, masked_fill."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch

DTYPES = ["bool", "uint8", "int64", "float16", "float32", "float64"]
MASK = np.array([True, False, True, False])
NAN = float("nan")


def values(dtype):
    return np.array([0, 1, 2, 100]).astype(dtype)


@pytest.mark.torch
@pytest.mark.parametrize(("a", "b"), list(itertools.product(DTYPES, DTYPES)))
def test_where_and_the_larger_of_two_agree_with_torch(a, b):
    x, y = values(a), values(b)[::-1]
    same_as_torch(lambda module, c, x, y: module.where(c, x, y), MASK, x, y)
    same_as_torch(lambda module, c, x, y: x.where(c, y), MASK[:, None], x, y[0, ...])
    same_as_torch(lambda module, x, y: module.maximum(x, y), x, y)
    same_as_torch(lambda module, x, y: module.minimum(x, y), x, y)
    same_as_torch(lambda module, x, y: module.clamp(x, min=y), x, y)
    same_as_torch(lambda module, x, y: module.clamp(x, y, y + 1), x, y)


@pytest.mark.torch
@pytest.mark.parametrize("number", [True, 1, 300, -1, 1.5, 1e6, NAN])
@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_are_chosen_bounded_and_filled_as_in_torch(number, dtype):
    x = values(dtype)
    same_as_torch(lambda module, c, x: module.where(c, x, number), MASK, x)
    same_as_torch(lambda module, c: module.where(c, 2, number), MASK)
    same_as_torch(lambda module, x: module.clamp(x, max=number), x)
    same_as_torch(lambda module, x: x.clamp(1, number), x)
    same_as_torch(lambda module, x: (x * 1).clip_(number), x)
    same_as_torch(lambda module, c, x: module.masked_fill(x, c, number), MASK, x)
    same_as_torch(lambda module, c, x: (x * 1).masked_fill_(c, number), MASK, x)


@pytest.mark.torch
def test_clamp_at_its_bounds_and_beyond_agrees_with_torch():
    x = np.array([-2.0, 0.0, 1.0, 2.0, NAN, 3.0])
    low, high = np.array([0.0, 0, 0, 3, 0, 3]), np.array([2.0, 2, 1, 1, 1, 3])
    same_as_torch(lambda module, x: module.clamp(x, 0, 2), x)
    same_as_torch(lambda module, x: module.clamp(x, 2, 0), x)
    same_as_torch(lambda module, x, low, high: module.clamp(x, low, high), x, low, high)
    same_as_torch(lambda module, x, low: module.clamp(x, low), x, low)
    same_as_torch(lambda module, x, high: module.clamp(x, max=high), x, high)


@pytest.mark.torch
def test_a_filled_value_gets_the_gradients_of_its_places():
    same_as_torch(
        lambda module, c, x, v: module.masked_fill(x, c, v), MASK, values("float64"), np.array(2.5)
    )


def test_equal_elements_share_the_gradient_of_a_maximum():
    x = tm.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = tm.tensor([3.0, 2.0, 1.0], requires_grad=True)
    tm.maximum(x, y).sum().backward()
    assert x.grad.tolist() == [0.0, 0.5, 1.0]
    assert y.grad.tolist() == [1.0, 0.5, 0.0]


def test_where_stops_a_gradient_of_nan():
    x = tm.tensor([0.0, 4.0], requires_grad=True)
    tm.where(x > 0, x, 0.0).backward(tm.tensor([NAN, 1.0]))
    assert x.grad.tolist() == [0.0, 1.0]


def test_a_mask_changed_before_backward_is_noticed():
    x, mask = tm.tensor([1.0, 2.0], requires_grad=True), tm.tensor([True, False])
    y = tm.where(mask, x, 0.0)
    mask[0] = False
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_where_wants_a_bool_condition():
    with pytest.raises(RuntimeError, match="boolean tensor, but got a tensor with dtype int64"):
        tm.where(tm.tensor([1]), tm.ones(1), tm.ones(1))
    with pytest.raises(TypeError, match="argument 1 must be Tensor, not bool"):
        tm.where(True, tm.ones(1), tm.ones(1))
    with pytest.raises(TypeError, match="both input and other"):
        tm.where(tm.tensor([True]), tm.ones(1))


def test_a_number_must_fit_an_integer_tensor():
    x, mask = tm.tensor([1], dtype=tm.uint8), tm.tensor([True])
    with pytest.raises(RuntimeError, match="where: value cannot be converted to uint8"):
        tm.where(mask, x, 300)
    with pytest.raises(RuntimeError, match="clamp: value cannot be converted to uint8"):
        x.clamp(max=300)
    with pytest.raises(RuntimeError, match="masked_fill: value cannot be converted to uint8"):
        x.masked_fill(mask, 300)


def test_clamp_needs_a_bound_and_bounds_of_one_kind():
    with pytest.raises(RuntimeError, match="At least one of 'min' or 'max'"):
        tm.ones(2).clamp()
    with pytest.raises(TypeError, match="two numbers or two Tensors, not Tensor and float"):
        tm.ones(2).clamp(tm.ones(2), 3.0)
    with pytest.raises(NotImplementedError, match="bools"):
        tm.tensor([True]).clamp(min=True)


def test_maximum_takes_tensors_only():
    with pytest.raises(TypeError, match="argument 2 must be Tensor, not float"):
        tm.maximum(tm.ones(2), 1.0)


def test_masked_fill_wants_a_bool_mask_and_one_value():
    x = tm.ones(2)
    with pytest.raises(RuntimeError, match="boolean masks, but got mask with dtype int64"):
        x.masked_fill(tm.tensor([1, 0]), 2.0)
    with pytest.raises(RuntimeError, match="0-dimensional value tensor, but got tensor with 1"):
        x.masked_fill(tm.tensor([True, False]), tm.ones(1))
    with pytest.raises(RuntimeError, match="requires a gradient"):
        tm.tensor([1]).masked_fill(tm.tensor([True]), tm.tensor(2.0, requires_grad=True))
