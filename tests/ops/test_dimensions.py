"""Shapes after a reduction, and dimensions that are counted from the end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from tests.ops import table
from tests.ops.outcomes import assert_close, few_and_many, outcome
from tests.ops.table import for_all
from tinygrad_mmb import ops
from tinygrad_mmb.autograd.tensor import wrap


@few_and_many
@pytest.mark.parametrize("name", table.REDUCTIONS)
def test_shapes_after_a_reduction_and_dimensions_counted_from_the_end(name, effort):
    def holds(data):
        x = wrap(data.draw(table.arrays()))
        assume(x.ndim)
        dim, keepdim = table.dims_for(name, data, x.ndim), data.draw(st.booleans())
        assume(dim is not None)
        y = outcome(table.reduced, name, x, dim, keepdim)
        negative = dim - x.ndim if isinstance(dim, int) else tuple(d - x.ndim for d in dim)
        again = outcome(table.reduced, name, x, negative, keepdim)
        if isinstance(y, type):
            assert x.numel() == 0 and again is y
            return
        dims = {dim} if isinstance(dim, int) else set(dim)
        kept = [1 if k in dims else n for k, n in enumerate(x.shape) if keepdim or k not in dims]
        assert tuple(y.shape) == (tuple(x.shape) if name in table.KEEP_SHAPE else tuple(kept))
        assert_close(again, y)

    for_all(effort, holds)


def index_for(x, dim):
    """Valid positions along a dimension, in the shape of x."""
    return wrap(np.arange(x.numel()).reshape(x.shape) % max(x.shape[dim], 1))


# every other function with a dimension: f(x, dim)
DIMENSIONS = {
    "argsort": lambda x, d: ops.argsort(x, dim=d, stable=True),
    "cat": lambda x, d: ops.cat([x, x], d),
    "chunk": lambda x, d: ops.chunk(x, 2, d),
    "concat": lambda x, d: ops.concat([x, x], d),
    "concatenate": lambda x, d: ops.concatenate([x, x], d),
    "cumsum_": lambda x, d: ops.cumsum_(x.clone(), d),
    "gather": lambda x, d: ops.gather(x, d, index_for(x, d)),
    "index_add": lambda x, d: ops.index_add(x, d, ops.arange(x.shape[d]), x),
    "index_select": lambda x, d: ops.index_select(x, d, ops.arange(x.shape[d])),
    "narrow": lambda x, d: ops.narrow(x, d, x.shape[d] // 2, x.shape[d] - x.shape[d] // 2),
    "scatter_add": lambda x, d: ops.scatter_add(x, d, index_for(x, d), x),
    "select": lambda x, d: ops.select(x, d, 0),
    "sort": lambda x, d: ops.sort(x, dim=d, stable=True),
    "split": lambda x, d: ops.split(x, 2, d),
    "squeeze": lambda x, d: ops.squeeze(x, d),
    "topk": lambda x, d: ops.topk(x, x.shape[d] // 2, d),
    "unbind": lambda x, d: ops.unbind(x, d),
    # dimensions of other names
    "diagonal": lambda x, d: ops.diagonal(x, 0, d, (d + 1 if d >= 0 else d - x.ndim + 1) % x.ndim),
    "flatten": lambda x, d: ops.flatten(x, d, -1),
    "flip": lambda x, d: ops.flip(x, [d]),
    "movedim": lambda x, d: ops.movedim(x, d, 0),
    "roll": lambda x, d: ops.roll(x, 1, d),
    "transpose": lambda x, d: ops.transpose(x, d, 0),
}


def test_every_function_with_a_dim_is_in_a_table():
    takes_dim = {n for n in ops.__dict__ if callable(getattr(ops, n)) and "dim" in signature_of(n)}
    known = {*DIMENSIONS, *table.REDUCTIONS}
    assert takes_dim - known == {"stack", "unsqueeze"}  # they count the dimensions of the result


def signature_of(name):
    code = getattr(getattr(ops, name), "__code__", None)
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code else ()


@few_and_many
@pytest.mark.parametrize("name", [*DIMENSIONS, "stack", "unsqueeze"])
def test_a_dimension_counted_from_the_end_is_the_same_one(name, effort):
    new = {"stack": lambda x, d: ops.stack([x, x], d), "unsqueeze": ops.unsqueeze}
    f = DIMENSIONS.get(name) or new[name]

    def holds(data):
        x = wrap(data.draw(table.arrays()))
        ndim = x.ndim + (name in new)
        assume(ndim)
        dim = data.draw(st.integers(0, ndim - 1))
        y, again = outcome(f, x, dim), outcome(f, x, dim - ndim)
        if isinstance(y, type):
            assert again is y
        else:
            assert_close(again, y)
        for beyond in (ndim, -ndim - 1):
            assert name == "diagonal" or outcome(f, x, beyond) is IndexError

    for_all(effort, holds)
