"""Arithmetic: add, sub, mul, div, neg, exp, with alpha, rounding and second names."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch

DTYPES = ["bool", "uint8", "int16", "int64", "float16", "float32", "float64"]
BINARY = ["add", "sub", "mul", "div", "remainder", "pow"]
ALIASES = [("subtract", "sub"), ("multiply", "mul"), ("divide", "div"), ("true_divide", "div")]

shapes = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3)
numbers = st.floats(-4, 4, width=32)


def values(dtype):
    return np.array([0, 1, 2, 3, 100, 7]).astype(dtype)


@given(shapes, st.data())
def test_operands_broadcast_and_their_gradients_are_summed_back(shapes, data):
    a, b = (data.draw(hnp.arrays(np.float64, s, elements=numbers)) for s in shapes.input_shapes)
    x, y = tm.tensor(a, requires_grad=True), tm.tensor(b, requires_grad=True)
    (x * y).sum().backward()
    np.testing.assert_allclose((x * y).detach().numpy(), a * b)
    expected = np.broadcast_to(b, shapes.result_shape)
    extra = expected.ndim - a.ndim
    axes = tuple(
        d for d in range(expected.ndim) if d < extra or a.shape[d - extra] != expected.shape[d]
    )
    np.testing.assert_allclose(
        x.grad.numpy(), expected.sum(axes).reshape(a.shape), rtol=1e-12, atol=1e-12
    )


@pytest.mark.torch
@pytest.mark.parametrize(("name", "a", "b"), list(itertools.product(BINARY, DTYPES, DTYPES)))
def test_binary_ops_agree_with_torch_in_all_dtypes(name, a, b):
    same_as_torch(lambda module, x, y: getattr(module, name)(x, y + 1), values(a), values(b)[::-1])


@pytest.mark.torch
@pytest.mark.parametrize(("a", "b"), list(itertools.product(DTYPES, DTYPES)))
def test_floor_division_agrees_with_torch_in_all_dtypes(a, b):
    same_as_torch(lambda module, x, y: (x // (y + 1)).detach(), values(a), values(b)[::-1])


@pytest.mark.torch
@pytest.mark.parametrize("mode", [None, "trunc", "floor", "nearest"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32", "float64"])
def test_rounded_division_agrees_with_torch(mode, dtype):
    a, b = np.array([7, 5, 9, 100]).astype(dtype), np.array([2, 3, 4, 7]).astype(dtype)
    signed = dtype != "uint8"
    for x, y in [(a, b), (-a, b), (a, -b), (-a, -b)] if signed else [(a, b)]:
        same_as_torch(lambda module, x, y: module.div(x, y, rounding_mode=mode), x, y)


@pytest.mark.torch
@pytest.mark.parametrize("alpha", [2, -1, 0.5, True, 300, 1.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_alpha_agrees_with_torch(alpha, dtype):
    for name in ("add", "sub"):
        same_as_torch(
            lambda module, x, y, name=name: getattr(module, name)(x, y, alpha=alpha),
            values(dtype),
            values("float64"),
        )
        same_as_torch(
            lambda module, x, name=name: getattr(module, name)(x, 3, alpha=alpha), values(dtype)
        )


@pytest.mark.parametrize(("alias", "name"), ALIASES)
def test_second_names_mean_the_same(alias, name):
    x, y = tm.tensor([6.0, 8.0]), tm.tensor([2.0, 4.0])
    expected = getattr(tm, name)(x, y).tolist()
    assert getattr(tm, alias)(x, y).tolist() == expected
    assert getattr(x, alias)(y).tolist() == expected
    assert getattr(x, alias + "_")(y) is x
    assert x.tolist() == expected


def test_bools_add_as_or_and_multiply_as_and():
    a, b = tm.tensor([True, True, False]), tm.tensor([True, False, False])
    assert (a + b).tolist() == [True, True, False]
    assert (a * b).tolist() == [True, False, False]


def test_small_integers_wrap_around():
    x = tm.tensor([200, 255], dtype=tm.uint8)
    assert (x + x).tolist() == [144, 254]
    assert (x + 300).tolist() == [244, 43]


@pytest.mark.parametrize("other", [True, tm.tensor([True]), tm.tensor([1.0])])
def test_subtracting_bools_is_refused(other):
    with pytest.raises(RuntimeError, match="bool tensor is not supported"):
        tm.tensor([True]) - other


def test_negating_a_bool_is_refused():
    with pytest.raises(RuntimeError, match="invert a mask"):
        -tm.tensor([True])


def test_integers_are_not_divided_by_zero():
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        tm.tensor([1, 2]) // tm.tensor([1, 0])
    assert (tm.tensor([1, 0]) / 0).tolist()[0] == float("inf")


def test_an_unknown_rounding_mode_is_named():
    with pytest.raises(RuntimeError, match=r"None, 'trunc', or 'floor' but found 'up'"):
        tm.div(tm.ones(2), 2, rounding_mode="up")


def test_the_operator_of_floor_division_has_no_gradient():
    x = tm.tensor([3.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="FloorDivide"):
        (x // 2).sum().backward()


def test_alpha_must_fit_the_result():
    x = tm.tensor([1])
    with pytest.raises(RuntimeError, match="must not be a floating point number"):
        tm.add(x, x, alpha=0.5)
    with pytest.raises(RuntimeError, match="Boolean alpha only supported"):
        tm.add(x, x, alpha=True)
    with pytest.raises(TypeError, match="must be Number, not str"):
        tm.add(x, x, alpha="2")


def test_numbers_stand_on_either_side_of_an_operator():
    x = tm.tensor([1.0, 2.0, 4.0])
    assert (1 + x).tolist() == [2.0, 3.0, 5.0]
    assert (1 - x).tolist() == [0.0, -1.0, -3.0]
    assert (2 * x).tolist() == [2.0, 4.0, 8.0]
    assert (4 / x).tolist() == [4.0, 2.0, 1.0]
    assert (2**x).tolist() == [2.0, 4.0, 16.0]
    assert (5 // x).tolist() == [5.0, 2.0, 1.0]
    assert (5 % x).tolist() == [0.0, 1.0, 1.0]
