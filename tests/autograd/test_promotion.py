"""How dtypes meet: against torch.result_type and torch.add, and the errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch
from tinygrad_mmb.autograd import promotion

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
SHAPES = [((2,), (2,)), ((), (2,)), ((2,), ()), ((), ())]
NUMBERS = [True, 2, 300, -1, 2.5, 1e40, float("nan"), np.float32(2.5), np.int8(3)]


@pytest.mark.torch
@pytest.mark.parametrize(("a", "b"), list(itertools.product(DTYPES, DTYPES)))
def test_two_tensors_meet_in_the_dtype_of_torch(a, b):
    torch = pytest.importorskip("torch")
    for shape, other in SHAPES:
        x, y = np.ones(shape, a), np.ones(other, b)
        expected = torch.result_type(torch.from_numpy(x), torch.from_numpy(y))
        assert str(promotion.result_type([x, y])) == str(expected).removeprefix("torch.")


@pytest.mark.torch
@pytest.mark.parametrize(("dtype", "number"), list(itertools.product(DTYPES, NUMBERS)))
def test_a_tensor_and_a_number_give_what_torch_gives(dtype, number):
    x = np.array([0, 1, 3]).astype(dtype)
    same_as_torch(lambda module, x: module.add(x, number), x)
    same_as_torch(lambda module, x: module.mul(x, number), x)
    same_as_torch(lambda module, x: x / number, x)
    same_as_torch(lambda module, x: number * x, x[0, ...])


def test_a_number_beside_float16_keeps_its_digits_in_a_product():
    x = tm.tensor([1000.0, 2000.0], dtype=tm.float16)
    np.testing.assert_allclose((x * 1e-6).numpy(), [1e-3, 2e-3], rtol=1e-2)
    np.testing.assert_allclose((x / 1e6).numpy(), [1e-3, 2e-3], rtol=1e-2)


def test_an_integer_never_widens_a_float():
    assert (tm.tensor([1], dtype=tm.int64) + tm.tensor([1.0], dtype=tm.float16)).dtype == tm.float16


def test_a_python_float_follows_the_default_dtype():
    tm.set_default_dtype(tm.float64)
    try:
        assert (tm.tensor([1]) * 2.5).dtype == tm.float64
    finally:
        tm.set_default_dtype(tm.float32)


@pytest.mark.host_only("a NumPy array and a Tensor on a GPU are refused together")
def test_an_array_counts_as_a_constant_tensor():
    x = tm.tensor([1.0, 2.0], requires_grad=True)
    (x * np.array([3.0, 4.0], np.float32)).sum().backward()
    assert x.grad.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("other", [[1.0, 2.0], "a", None, {}])
def test_what_is_no_operand_is_named(other):
    with pytest.raises(TypeError, match=type(other).__name__):
        tm.add(tm.ones(2), other)


def test_two_numbers_are_not_enough():
    with pytest.raises(TypeError, match="expected a Tensor, but got int and float"):
        tm.add(1, 2.0)


def test_complex_numbers_are_refused_by_name():
    with pytest.raises(NotImplementedError, match="complex"):
        tm.ones(2) + 1j


def test_integers_of_more_than_64_bits_do_not_fit():
    with pytest.raises(OverflowError, match="64 bits"):
        tm.ones(2) + 2**70
    with pytest.raises(OverflowError, match="does not fit in int64"):
        tm.tensor([1]) + 2**63


def test_shapes_that_do_not_broadcast_are_shown_with_the_dimension():
    with pytest.raises(RuntimeError, match=r"size of tensor a \(2\).*\(3\).*dimension 1.*\(4, 2\)"):
        tm.ones(4, 2) + tm.ones(3)
