"""Which results share memory with their input, and how they lie in it, as in PyTorch."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.ops import table
from tests.ops.outcomes import assert_close, few_and_many, outcome
from tests.ops.table import for_all


def some_shape(data, size):
    """A shape of that many elements."""
    if size == 0:
        return data.draw(st.sampled_from([(0,), (0, 3), (2, 0), (1, 0, 1)]))
    shape = []
    while size > 1:
        n = data.draw(st.sampled_from([n for n in range(2, size + 1) if size % n == 0]))
        shape.append(n)
        size //= n
    return tuple(data.draw(st.permutations([*shape, *data.draw(st.sampled_from([[], [1]]))])))


def some_slice(data, n):
    return slice(
        data.draw(st.none() | st.integers(-n, n)),
        data.draw(st.none() | st.integers(-n, n)),
        data.draw(st.none() | st.integers(1, 3)),
    )


# (arguments drawn for x) → a call of either library
VIEWS = {
    "reshape": lambda data, x: partial(call, "reshape", some_shape(data, x.size)),
    "view": lambda data, x: partial(call, "view", some_shape(data, x.size)),
    "flatten": lambda data, x: partial(call, "flatten"),
    "permute": lambda data, x: partial(
        call, "permute", tuple(data.draw(st.permutations(range(x.ndim))))
    ),
    "transpose": lambda data, x: partial(call, "transpose", one_dim(data, x), one_dim(data, x)),
    "movedim": lambda data, x: partial(call, "movedim", one_dim(data, x), one_dim(data, x)),
    "unsqueeze": lambda data, x: partial(call, "unsqueeze", data.draw(st.integers(0, x.ndim))),
    "squeeze": lambda data, x: partial(call, "squeeze"),
    "squeeze one": lambda data, x: partial(call, "squeeze", one_dim(data, x)),
    "expand": lambda data, x: partial(call, "expand", (2, *x.shape)),
    "diagonal": lambda data, x: partial(call, "diagonal", data.draw(st.integers(-2, 2))),
    "narrow": lambda data, x: partial(call, "narrow", one_dim(data, x), 0, 1),
    "select": lambda data, x: partial(call, "select", one_dim(data, x), -1),
    "split": lambda data, x: partial(call, "split", 2, one_dim(data, x)),
    "chunk": lambda data, x: partial(call, "chunk", 2, one_dim(data, x)),
    "unbind": lambda data, x: partial(call, "unbind", one_dim(data, x)),
    "t": lambda data, x: partial(call, "t"),
    "detach": lambda data, x: partial(call, "detach"),
    "contiguous": lambda data, x: partial(call, "contiguous"),
    "clone": lambda data, x: partial(call, "clone"),
    "to its own dtype": lambda data, x: partial(call, "double"),
    "to another dtype": lambda data, x: partial(call, "float"),
    "flip": lambda data, x: partial(call, "flip", [one_dim(data, x)]),
    "roll": lambda data, x: partial(call, "roll", 1),
    "repeat": lambda data, x: partial(call, "repeat", [1] * x.ndim),
    "tile": lambda data, x: partial(call, "tile", [1] * x.ndim),
    "tril": lambda data, x: partial(call, "tril"),
    "slices": lambda data, x: partial(
        call, "__getitem__", tuple(some_slice(data, n) for n in x.shape)
    ),
    "an int": lambda data, x: partial(call, "__getitem__", 0),
    "None and ...": lambda data, x: partial(call, "__getitem__", (None, ..., None)),
    "a mask": lambda data, x: lambda t: t[t == t],
    "a list": lambda data, x: partial(call, "__getitem__", [0]),
}


def call(name, *args):
    """A call of a method, its Tensor last."""
    *args, x = args
    return getattr(x, name)(*args)


def one_dim(data, x):
    return data.draw(st.integers(-x.ndim, x.ndim - 1)) if x.ndim else 0


def parts(y):
    return list(y) if isinstance(y, (tuple, list)) else [y]


@pytest.mark.host_only("NumPy shares memory with the CPU only")
@pytest.mark.torch
@few_and_many
@pytest.mark.parametrize("name", VIEWS)
def test_memory_is_shared_exactly_where_pytorch_shares_it(name, effort):
    torch = pytest.importorskip("torch")

    def holds(data):
        array = data.draw(table.arrays())
        f = VIEWS[name](data, array)
        ours, theirs = tm.from_numpy(array), torch.from_numpy(array)
        y, expected = outcome(f, ours), outcome(f, theirs)
        if isinstance(y, type) or isinstance(expected, type):
            assert y is expected or issubclass(y, expected)
            return
        memory = theirs.untyped_storage().data_ptr()
        for a, b in zip(parts(y), parts(expected), strict=True):
            assert_close(a, b.numpy())
            assert (a.memory is ours.memory) == (b.untyped_storage().data_ptr() == memory)
            assert a.is_contiguous() == b.is_contiguous()
            wide = [k for k, n in enumerate(b.shape) if n > 1 and b.numel()]
            assert [a.stride()[k] for k in wide] == [b.stride()[k] for k in wide]
            if b.numel() and a.memory is ours.memory:
                assert np.shares_memory(a.array, array)

    for_all(effort, holds)
