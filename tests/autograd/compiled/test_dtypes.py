"""Equal dtypes may be several objects, and one of the other byte order is another dtype."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.autograd.compiled.both_ways import in_both, outcome, run_in_python, same
from tinygrad_mmb import compiled, ops
from tinygrad_mmb.autograd import Function
from tinygrad_mmb.backend import as_array
from tinygrad_mmb.kernels import registry

pytestmark = pytest.mark.host_only("CuPy has dtypes of its own making")


def unpickled(x: Any) -> Any:
    return pickle.loads(pickle.dumps(x))


def swapped_twice(x: Any) -> Any:
    return x.view(x.dtype.newbyteorder("S").newbyteorder("S"))


IN_PYTHON = (  # what is left to Python where a twin declines
    *(f for op in (ops.elementwise.Mul, ops.elementwise.Add, ops.activation.Relu, ops.reduction.Sum)
      for f in (op.forward, op.backward)),
    *(compiled.below(compiled.PYTHON[name]) for name in compiled.PYTHON),
)  # fmt: skip


@pytest.mark.parametrize("made", [unpickled, swapped_twice])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_equal_dtype_that_is_another_object_is_left_to_the_twins(made: Any, dtype: str) -> None:
    if registry.DEFAULT != registry.ANY:
        pytest.skip("MMB_KERNELS pins kernels")
    numbers = made(np.array([[1.0, -2.0, 3.0], [0.5, 0.0, -1.0]], dtype))
    classes = made(np.array([1, 0]))
    assert numbers.dtype == dtype
    assert numbers.dtype is not np.dtype(dtype)
    assert classes.dtype is not np.dtype("int64")
    x, w, t = tm.Tensor(numbers).requires_grad_(), tm.Tensor(numbers), tm.Tensor(classes)

    def step() -> None:
        ((x * w).relu() + w).sum().backward()
        x.grad = None
        y = tm.nn.functional.linear(x, w)
        tm.nn.functional.cross_entropy(y, t).backward()
        tm.optim.Adam([x]).step()

    step()  # not the first: states are made, and code that runs once
    x.grad = None
    assert run_in_python(step, *IN_PYTHON) == set()


@pytest.mark.parametrize("made", [unpickled, swapped_twice])
def test_an_equal_dtype_that_is_another_object_gives_the_same_numbers(made: Any) -> None:
    numbers = made(np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3))

    def run() -> list[Any]:
        x, w = tm.Tensor(numbers.copy()).requires_grad_(), tm.ones(2, 3)
        loss = ((x * w - w).relu() * x + 2.5 * x).sum()
        loss.backward()
        tm.optim.SGD([x], lr=0.5).step()
        return [loss.detach().numpy(), x.grad.numpy(), x.detach().numpy()]

    for fast, slow in zip(*in_both(run), strict=True):
        same(fast, slow)


class Swapped(Function):
    """x in the other byte order, there and back."""

    @staticmethod
    def forward(x: Any) -> Any:
        return x.astype(x.dtype.newbyteorder("S"))

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g.astype(np.dtype(g.dtype).newbyteorder("S"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_other_byte_order_is_not_taken_for_ours(dtype: str) -> None:
    numbers = np.array([1.0, -2.0, 3.0], dtype)
    other = numbers.astype(numbers.dtype.newbyteorder("S"))

    def run() -> list[Any]:
        x = tm.tensor(numbers, requires_grad=True)
        y = Swapped.apply(x)
        loss = (y * y + x).relu().sum()
        loss.backward()
        bare = ops.mul(other, other), ops.relu(other), ops.sum(other), -other
        return [x.grad.numpy(), loss.detach().numpy(), *(as_array(a.astype(dtype)) for a in bare)]

    expected = [2 * numbers + 1, [16], numbers**2, [1, 0, 3], 2, -numbers]
    for fast, slow, right in zip(*in_both(run), expected, strict=True):
        same(fast, slow)
        np.testing.assert_array_equal(fast, np.reshape(right, fast.shape))


@pytest.mark.parametrize("kind", ["int64", "q", "int32", "uint8", ">i8"])
def test_classes_of_every_integer_dtype_are_taken_or_refused_alike(kind: str) -> None:
    classes = np.array([2, 0]).astype(kind)

    def run() -> Any:
        t = tm.tensor([0, 0])
        t.array = classes
        x = tm.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, -1.0]], requires_grad=True)
        tm.nn.functional.cross_entropy(x, t).backward()
        return x.grad.tolist()

    fast, slow = in_both(lambda: outcome(run))
    assert fast == slow
    assert isinstance(fast, list) == (kind in ("int64", "q", "uint8"))
