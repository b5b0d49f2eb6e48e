"""cat and stack: values, gradients, dtypes, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch

A, B = np.arange(6.0).reshape(2, 3), np.arange(4.0).reshape(2, 2)
EMPTY = np.zeros(0)

CALLS = {
    "cat": (lambda m, a, b: m.cat([a, b], 1), A, B),
    "cat from the end": (lambda m, a, b: m.cat((a, b), -1), A, B),
    "concat": (lambda m, a, b: m.concat([a, b], dim=1), A, B),
    "cat with shape (0,)": (lambda m, a, b: m.cat([b, a]), A, EMPTY),
    "cat of nothing but (0,)": (lambda m, a: m.cat([a, a]), EMPTY),
    "cat of dtypes": (lambda m, a, b: m.cat([a, b], 1), A.astype(np.float32), B.astype(np.int64)),
    "cat of other sizes": (lambda m, a, b: m.cat([a, b]), A, B),
    "cat of other dimensions": (lambda m, a, b: m.cat([a, b[0]]), A, B),
    "cat of numbers": (lambda m, a: m.cat([a[0, 0], a[0, 1]]), A),
    "cat of nothing": (lambda m, a: m.cat([]), A),
    "cat of no list": (lambda m, a: m.cat(a), A),
    "stack": (lambda m, a: m.stack([a, a * 2]), A),
    "stack at the end": (lambda m, a: m.stack([a, a * 2], -1), A),
    "stack of numbers": (lambda m, a: m.stack([a[0, 0], a[1, 1]]), A),
    "stack of other shapes": (lambda m, a, b: m.stack([a, b]), A, B),
    "stack of nothing": (lambda m, a: m.stack([]), A),
    "hstack": (lambda m, a, b: m.hstack([a, b]), A, B),
    "vstack of vectors": (lambda m, a: m.vstack([a[0], a[1]]), A),
}


@pytest.mark.torch
@pytest.mark.parametrize("name", CALLS)
def test_a_call_does_what_pytorch_does(name: str) -> None:
    f, *arrays = CALLS[name]
    same_as_torch(f, *arrays)


def test_each_part_receives_its_slice_of_the_gradient() -> None:
    a, b = tm.ones(2, requires_grad=True), tm.ones(3, requires_grad=True)
    (tm.cat([a, b]) * tm.arange(5.0)).sum().backward()
    assert a.grad.tolist() == [0.0, 1.0]
    assert b.grad.tolist() == [2.0, 3.0, 4.0]


def test_messages_say_which_tensor_does_not_fit() -> None:
    with pytest.raises(RuntimeError, match=r"Expected size 3 but got size 2 for tensor number 1"):
        tm.cat([tm.zeros(2, 3), tm.zeros(2, 2)])
    with pytest.raises(RuntimeError, match=r"\[2\] at entry 0 and \[3\] at entry 1"):
        tm.stack([tm.zeros(2), tm.zeros(3)])
    with pytest.raises(TypeError, match="element 1"):
        tm.cat([tm.zeros(2), 3.0])
