"""Copies with the elements in other places: values, gradients, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops.as_in_torch import same_as_torch

A = np.arange(12.0).reshape(3, 4)

CALLS = {
    "repeat": lambda m, x: x.repeat(2, 1),
    "repeat with new dimensions": lambda m, x: x.repeat(2, 1, 3),
    "repeat no times": lambda m, x: x.repeat(0, 2),
    "repeat too few": lambda m, x: x.repeat(2),
    "repeat negative": lambda m, x: x.repeat(-1, 1),
    "tile": lambda m, x: m.tile(x, (2,)),
    "tile with new dimensions": lambda m, x: x.tile(2, 1, 2),
    "flip": lambda m, x: x.flip(0, 1),
    "flip of a list": lambda m, x: m.flip(x, dims=[-1]),
    "flip nothing": lambda m, x: x.flip(()),
    "flip twice the same": lambda m, x: x.flip(0, 0),
    "roll flat": lambda m, x: x.roll(5),
    "roll": lambda m, x: m.roll(x, (1, -1), (0, 1)),
    "roll not alike": lambda m, x: x.roll((1, 2), (0,)),
    "tril": lambda m, x: x.tril(-1),
    "triu": lambda m, x: m.triu(x, diagonal=1),
    "tril of a vector": lambda m, x: x[0].tril(),
    "diag of a matrix": lambda m, x: x.diag(1),
    "diag of a vector": lambda m, x: m.diag(x[0], -1),
    "diag of three dimensions": lambda m, x: x[None].diag(),
    "clone": lambda m, x: x.clone() * x,
    "contiguous": lambda m, x: x.T.contiguous(),
    "float": lambda m, x: x.float(),
    "half": lambda m, x: x.half(),
    "long": lambda m, x: (x - 3.5).long(),
    "bool": lambda m, x: x.bool(),
    "to dtype": lambda m, x: x.to(m.float32),
    "to device and dtype": lambda m, x: x.to("cpu", m.float32),
    "to another": lambda m, x: x.to(m.zeros(1, dtype=m.int32)),
    "to by name": lambda m, x: x.to(dtype=m.int16, copy=True),
    "to nothing": lambda m, x: x.to(),
    "to a list": lambda m, x: x.to([1]),
}


@pytest.mark.torch
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("transposed", [False, True])
def test_a_call_does_what_pytorch_does(name: str, transposed: bool) -> None:
    f = CALLS[name]
    same_as_torch((lambda m, x: f(m, x.T)) if transposed else f, A)


@pytest.mark.torch
@pytest.mark.parametrize("shape", [(3, 1, 4), (1, 3, 1), (2, 3)])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_a_copy_lies_in_memory_as_in_pytorch(shape, order) -> None:
    torch = pytest.importorskip("torch")

    def strides(m):
        x = m.ones(shape)
        x = x.permute(order) if x.ndim == 3 else x.T
        x = x.expand(2, *x.shape)
        return [x.clone().stride(), x.double().stride(), m.zeros_like(x).stride()]

    def without_ones(found):  # the stride of a dimension of size 1 means nothing
        x = torch.ones(shape)
        sizes = (2, *(x.permute(order) if x.ndim == 3 else x.T).shape)
        return [[s for s, n in zip(f, sizes, strict=True) if n > 1] for f in found]

    assert without_ones(strides(tm)) == without_ones(strides(torch))


@pytest.mark.host_only("speaks of the CPU")
def test_to_returns_the_same_tensor_where_nothing_changes() -> None:
    x = tm.zeros(2)
    assert x.to(tm.float32) is x
    assert x.float() is x
    assert x.to("cpu") is x
    assert x.to(tm.float32, copy=True) is not x


def test_rolling_back_undoes_rolling(rng) -> None:
    x = tm.from_numpy(rng.standard_normal((3, 4)))
    assert tm.equal(x.roll((1, 2), (0, 1)).roll((-1, -2), (0, 1)), x)


def test_messages() -> None:
    with pytest.raises(RuntimeError, match="at least 2 dimensions"):
        tm.zeros(3).triu()
    with pytest.raises(RuntimeError, match="dims:1"):
        tm.zeros(3).roll((1, 2), 0)
    with pytest.raises(NotImplementedError, match="memory_format"):
        tm.zeros(3).clone(memory_format="channels_last")
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        tm.zeros(3).to(tm.float64, colour=3)
    with pytest.raises(NotImplementedError, match="type"):
        tm.zeros(3).type()
