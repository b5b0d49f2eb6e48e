"""New tensors: shapes, dtypes, values, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch

CALLS = {
    "zeros": lambda m: m.zeros(3, 4),
    "zeros of a tuple": lambda m: m.zeros((3, 4), dtype=m.int16),
    "zeros of no dimension": lambda m: m.zeros(()),
    "zeros by name": lambda m: m.zeros(size=(2, 2)),
    "zeros without a shape": lambda m: m.zeros(),
    "zeros of floats": lambda m: m.zeros(2.0),
    "zeros of negative size": lambda m: m.zeros(-1),
    "ones": lambda m: m.ones(2, 0, dtype=m.float64),
    "ones of bool": lambda m: m.ones(2, dtype=m.bool),
    "full of float": lambda m: m.full((2, 2), 1.5),
    "full of int": lambda m: m.full((2,), 7),
    "full of bool": lambda m: m.full((2,), True),
    "full of dtype": lambda m: m.full((2,), 1.7, dtype=m.int64),
    "full past the range": lambda m: m.full((2,), 300, dtype=m.uint8),
    "full_like": lambda m: m.full_like(m.zeros(2, 3), 2),
    "zeros_like": lambda m: m.zeros_like(m.ones(2, dtype=m.int32)),
    "ones_like of dtype": lambda m: m.ones_like(m.ones(2, dtype=m.int32), dtype=m.float16),
    "zeros_like of a list": lambda m: m.zeros_like([1, 2]),
    "arange": lambda m: m.arange(5),
    "arange of floats": lambda m: m.arange(0.0, 1.0, 0.3),
    "arange down": lambda m: m.arange(5, 0, -2),
    "arange mixed": lambda m: m.arange(1, 2.5),
    "arange of dtype": lambda m: m.arange(0, 3, dtype=m.float64),
    "arange of floats as ints": lambda m: m.arange(-0.9, 4.9, 1.5, dtype=m.int64),
    "arange of floats as small ints": lambda m: m.arange(-0.9, 2.1, 2.0, dtype=m.int32),
    "arange the wrong way": lambda m: m.arange(0, 5, -1),
    "arange of step 0": lambda m: m.arange(0, 5, 0),
    "arange to infinity": lambda m: m.arange(0, float("inf")),
    "linspace": lambda m: m.linspace(0, 1, 5),
    "linspace backwards": lambda m: m.linspace(3.0, -3.0, 7, dtype=m.float64),
    "linspace of ints": lambda m: m.linspace(0, 10, 4, dtype=m.int64),
    "linspace of one": lambda m: m.linspace(2, 5, 1),
    "linspace of none": lambda m: m.linspace(2, 5, 0),
    "linspace of less": lambda m: m.linspace(2, 5, -1),
    "eye": lambda m: m.eye(3),
    "eye of other sides": lambda m: m.eye(2, 3, dtype=m.int64),
    "eye of less": lambda m: m.eye(-1),
    "from_numpy": lambda m: m.from_numpy(np.arange(3, dtype=np.int16)),
    "from_numpy of a list": lambda m: m.from_numpy([1, 2]),
    "as_tensor of a list": lambda m: m.as_tensor([1.0, 2.0]),
    "as_tensor of ints": lambda m: m.as_tensor([[1, 2]], dtype=m.float64),
    "as_tensor of an array": lambda m: m.as_tensor(np.ones(2)),
}


@pytest.mark.torch
@pytest.mark.parametrize("name", CALLS)
def test_a_call_does_what_pytorch_does(name: str) -> None:
    same_as_torch(CALLS[name])


def test_the_decks_constructors() -> None:
    assert tm.Tensor([1.0, 2.0, 3.0]).shape == (3,)
    assert tm.zeros(3, 4).numpy().tolist() == [[0.0] * 4] * 3
    assert tm.ones(2, dtype=tm.float32).dtype == tm.float32
    assert tm.ones(2, dtype=tm.float64).dtype == tm.float64
    with pytest.raises(RuntimeError, match="floating point"):
        tm.zeros(2, dtype=tm.int64, requires_grad=True)


def test_empty_has_the_shape_and_any_values() -> None:
    assert tm.empty(2, 3, dtype=tm.int32).shape == (2, 3)
    assert tm.empty_like(tm.zeros(4)).dtype == tm.float32


@pytest.mark.host_only("NumPy shares memory with the CPU only")
def test_memory_is_shared_with_numpy_where_it_can_be() -> None:
    a = np.zeros(2, dtype=np.float32)
    tm.from_numpy(a)[0] = 1
    tm.as_tensor(a)[1] = 2
    assert a.tolist() == [1.0, 2.0]
    x = tm.zeros(2)
    assert tm.as_tensor(x) is x


def test_requires_grad_is_an_argument_of_all() -> None:
    for t in (
        tm.zeros(2, requires_grad=True),
        tm.full((2,), 1.0, requires_grad=True),
        tm.arange(3.0, requires_grad=True),
        tm.eye(2, requires_grad=True),
        tm.rand(2, requires_grad=True),
        tm.ones_like(tm.zeros(2), requires_grad=True),
    ):
        assert t.requires_grad
        assert t.is_leaf


def test_messages() -> None:
    with pytest.raises(TypeError, match="must be Tensor, not list"):
        tm.zeros_like([1])
    with pytest.raises(TypeError, match="got list"):
        tm.from_numpy([1])
    with pytest.raises(RuntimeError, match="negative dimension -1"):
        tm.zeros(2, -1)
    with pytest.raises(RuntimeError, match="step sign"):
        tm.arange(0, 5, -1)
    with pytest.raises(TypeError, match="argument 'fill_value' must be Number"):
        tm.full((2,), tm.zeros(2))
