"""Elementwise ops and reductions give the numbers of NumPy, over shapes, dtypes and layouts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.ops import table
from tests.ops.outcomes import EPSILON, arrays_of, assert_close, few_and_many, outcome, quietly
from tests.ops.table import for_all
from tinygrad_mmb import ops
from tinygrad_mmb.autograd.tensor import wrap


def exactly(f, dtype, *xs, **options):
    """NumPy's result in `dtype`, floats computed in float64."""
    if np.dtype(dtype).kind == "f":
        xs = [x.astype(np.float64) for x in xs]
    try:
        y = quietly(f, *xs, **options)
    except TypeError:  # NumPy knows no sign of a bool
        y = quietly(f, *[x.astype(np.int8) for x in xs], **options)
    with np.errstate(all="ignore"):
        return np.asarray(y).astype(dtype)


def assert_numpys(name, xs, **options):
    """ops.<name> and NumPy agree, on Tensors and on arrays."""
    y = outcome(getattr(ops, name), *[wrap(x) for x in xs], **options)
    if isinstance(y, type):
        assert xs[0].dtype.kind != "f" or name.startswith("bitwise"), f"{name}: {y} for floats"
        return
    dtype = arrays_of(y)[0].dtype
    expected = exactly(table.numpys(name), dtype, *xs)
    assert_close(y, expected, EPSILON.get(str(dtype), 0.0))
    plain = quietly(getattr(ops, name), *xs, **options)
    assert_close(plain, arrays_of(y)[0])
    assert isinstance(plain, tm.Tensor) is False


@few_and_many
@pytest.mark.parametrize("name", table.UNARY)
def test_elementwise_ops_of_one_operand_are_numpys(name, effort):
    dtypes = st.sampled_from(table.DTYPES)

    def holds(data):
        assert_numpys(name, [data.draw(table.arrays(dtype=dtypes, special=True))])

    for_all(effort, holds)


@few_and_many
@pytest.mark.parametrize("name", table.BINARY)
def test_elementwise_ops_of_two_operands_are_numpys(name, effort):
    def holds(data):
        dtype = data.draw(st.sampled_from(table.DTYPES))
        shapes = data.draw(table.pairs_of_shapes)
        assert_numpys(name, [data.draw(table.arrays(s, dtype, special=True)) for s in shapes])

    for_all(effort, holds)


@few_and_many
@pytest.mark.parametrize("name", table.REDUCTIONS)
def test_reductions_are_numpys_for_all_dims_and_keepdim(name, effort):
    def holds(data):
        dtype = data.draw(st.sampled_from(("float64", *table.DTYPES)))
        x = data.draw(table.arrays(dtype=dtype))
        assume(x.ndim)
        dim, keepdim = table.dims_for(name, data, x.ndim), data.draw(st.booleans())
        y = outcome(table.reduced, name, wrap(x), dim, keepdim)
        if isinstance(y, type):
            empty = x.size == 0 and name in ("amax", "amin", "argmax", "argmin", "max", "min")
            assert empty or x.dtype.kind != "f", f"{name}: {y} for floats of shape {x.shape}"
            return
        options = {"axis": dim}
        if name not in table.KEEP_SHAPE:
            options["keepdims"] = keepdim and dim is not None
        result = y.dtype
        expected = exactly(table.numpys(name), result, x, **options)
        assert_close(y, expected, 8 * EPSILON.get(str(result), 0.0))
        assert_close(
            quietly(table.reduced, name, x, dim, keepdim), y, EPSILON.get(str(result), 0.0)
        )

    for_all(effort, holds)
