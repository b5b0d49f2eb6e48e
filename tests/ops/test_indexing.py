"""x[index] of every kind, read and written, against PyTorch and NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch

A = np.arange(24.0).reshape(2, 3, 4)

INDICES = {
    "int": lambda m: 1,
    "negative": lambda m: -1,
    "out of range": lambda m: 2,
    "ints": lambda m: (0, 1, 2),
    "too many": lambda m: (0, 0, 0, 0),
    "slice": lambda m: slice(0, 1),
    "slices with steps": lambda m: (slice(None), slice(None, None, 2), slice(1, None, 2)),
    "slice past the end": lambda m: (slice(None), slice(2, 9)),
    "slice backwards": lambda m: slice(None, None, -1),
    "slice of step 0": lambda m: slice(None, None, 0),
    "slice of floats": lambda m: slice(0.0, 1.0),
    "None": lambda m: (None, 0, None),
    "Ellipsis": lambda m: (..., 0),
    "Ellipsis between": lambda m: (0, ..., None, 1),
    "nothing": lambda m: (),
    "list": lambda m: [1, 0, 1],
    "list of bools": lambda m: [True, False],
    "empty list": lambda m: [],
    "nested list": lambda m: ([[0, 1], [1, 0]],),
    "list with a slice": lambda m: [0, slice(0, 2)],
    "range": lambda m: range(2),
    "tensor": lambda m: m.tensor([0, -1]),
    "tensor of int32": lambda m: m.tensor([0, 1], dtype=m.int32),
    "tensor of int16": lambda m: m.tensor([0, 1], dtype=m.int16),
    "tensor of floats": lambda m: m.tensor([0.0]),
    "0-d tensor": lambda m: m.tensor(1),
    "0-d tensors and slice": lambda m: (slice(None), m.tensor(1), slice(1, None)),
    "matrix of indices": lambda m: m.tensor([[0, 1], [1, 1]]),
    "index out of range": lambda m: m.tensor([2]),
    "two tensors": lambda m: (m.tensor([0, 1]), m.tensor([2, 0])),
    "two that broadcast": lambda m: (m.tensor([[0], [1]]), m.tensor([2, 0])),
    "two that do not": lambda m: (m.tensor([0, 1]), m.tensor([0, 1, 2])),
    "apart": lambda m: (m.tensor([0, 1]), slice(None), m.tensor([2, 0])),
    "apart by an int": lambda m: (m.tensor([0, 1]), 0, m.tensor([2, 0])),
    "apart by None": lambda m: (m.tensor([0, 1]), None, m.tensor([2, 0])),
    "behind an int": lambda m: (0, slice(None), [0, 1]),
    "mask": lambda m: m.tensor([True, False]),
    "mask of two dims": lambda m: m.tensor([[True, False, True], [False, True, True]]),
    "mask behind": lambda m: (slice(None), m.tensor([True, False, True])),
    "mask of wrong size": lambda m: m.tensor([True, False, True]),
    "mask and tensor": lambda m: (m.tensor([True, True]), m.tensor([0, 2])),
    "mask of nothing": lambda m: m.tensor([False, False]),
    "True": lambda m: True,
    "False": lambda m: False,
    "True and list": lambda m: (True, [0, 1]),
    "0-d mask": lambda m: m.tensor(True),
    "float": lambda m: 1.0,
    "text": lambda m: "x",
    "numpy int": lambda m: np.int64(1),
    "numpy array": lambda m: np.array([1, 0]),
}


@pytest.mark.torch
@pytest.mark.parametrize("name", INDICES)
def test_reading_does_what_pytorch_does(name: str) -> None:
    same_as_torch(lambda m, x: x[INDICES[name](m)], A)


@pytest.mark.torch
@pytest.mark.parametrize("name", INDICES)
def test_writing_does_what_pytorch_does(name: str) -> None:
    def write(m, x):
        y = x * 1
        y[INDICES[name](m)] = 5.0
        return y

    same_as_torch(write, A)


@pytest.mark.torch
@pytest.mark.parametrize(
    "name", ["int", "slice", "list", "two tensors", "apart", "mask", "0-d mask"]
)
def test_writing_a_tensor_gives_it_its_gradient(name: str) -> None:
    def write(m, x, v):
        y = x * 1
        part = y[INDICES[name](m)]
        y[INDICES[name](m)] = v.expand(part.shape)
        return y

    same_as_torch(write, A, np.array(2.0))


@pytest.mark.torch
@pytest.mark.parametrize("index", [0, ..., None, True, [0], [True], (), (0, 0)])
def test_a_single_number_is_indexed_as_in_pytorch(index) -> None:
    same_as_torch(lambda m, x: x[index], np.array(3.0))


def test_an_element_taken_twice_receives_both_gradients() -> None:
    x = tm.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (x[[0, 2, 0]] * tm.tensor([1.0, 10.0, 100.0])).sum().backward()
    expected = np.zeros(3)
    np.add.at(expected, [0, 2, 0], [1.0, 10.0, 100.0])
    assert x.grad.tolist() == expected.tolist()


def test_an_index_changed_before_backward_is_refused() -> None:
    x, i = tm.ones(3, requires_grad=True), tm.tensor([0, 1])
    y = x[i].sum()
    i.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_second_derivatives_of_reading_by_a_list(shape, rng) -> None:
    x = tm.from_numpy(rng.standard_normal(shape)).requires_grad_()
    assert tm.autograd.gradgradcheck(lambda x: x[[0, 1, 0]] ** 3, (x,))


def test_messages_name_the_index_and_the_shape() -> None:
    x = tm.zeros(2, 3)
    with pytest.raises(IndexError, match="index 2 is out of bounds for dimension 0 with size 2"):
        x[2]
    with pytest.raises(IndexError, match=r"too many indices for tensor of dimension 2"):
        x[0, 0, 0]
    with pytest.raises(IndexError, match="0-dim"):
        tm.tensor(1.0)[0]
    with pytest.raises(ValueError, match="flip"):
        x[::-1]
    with pytest.raises(IndexError, match=r"index\.long\(\)"):
        x[tm.tensor([0.0])]
    with pytest.raises(IndexError, match=r"mask \[3\] at index 0"):
        x[tm.tensor([True, False, True])]


@pytest.mark.torch
@pytest.mark.parametrize(
    "order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
)
@pytest.mark.parametrize(
    "index",
    [
        ([0, 1],),
        (slice(None), [0, 1]),
        (..., [0, 0, 1]),
        ([0, 1], slice(None), [1, 0]),
        (None, [[0, 1], [1, 1]]),
        (slice(None), [0, 1], [1, 1]),
        (slice(None), np.asfortranarray([[0, 1], [1, 1]])),
        (slice(None), np.array([True, False, True])),
        (np.ones((2, 3), bool),),
    ],
    ids=str,
)
def test_what_an_index_copies_lies_in_memory_as_in_pytorch(order, index):
    """A reshape of it is then a view exactly where PyTorch's is."""
    torch = pytest.importorskip("torch")
    sizes = (2, 3, 4)
    x = np.arange(24.0).reshape([sizes[d] for d in order]).transpose(np.argsort(order))

    def picked(library):
        own = [library.from_numpy(i) if isinstance(i, np.ndarray) else i for i in index]
        return library.from_numpy(x)[tuple(own)]

    y, expected = picked(tm), picked(torch)
    np.testing.assert_array_equal(y.numpy(), expected.numpy())
    wide = [k for k, n in enumerate(expected.shape) if n > 1]
    assert [y.stride()[k] for k in wide] == [expected.stride()[k] for k in wide]
