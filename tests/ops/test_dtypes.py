"""Elementwise ops and reductions on every dtype and pair of dtypes: PyTorch's answer to each."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.ops import table

pytestmark = pytest.mark.torch
SCALARS = (True, 2, 2.5)
TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 4e-3}


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def function(library, name):
    """PyTorch keeps some of them in nn.functional only."""
    return getattr(library, name, None) or getattr(library.nn.functional, name)


def inputs(dtype, shape):
    return table.values(np.random.default_rng(0), shape, dtype)


def disagreement(torch, f, *args, **options):
    """What differs between f(torch)(...) and f(tm)(...); None where nothing does."""
    results = []
    for library in (torch, tm):
        xs = [library.from_numpy(a.copy()) if isinstance(a, np.ndarray) else a for a in args]
        given = {k: getattr(library, v) if k == "dtype" else v for k, v in options.items()}
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                y = f(library)(*xs, **given)
            except (RuntimeError, TypeError, IndexError, ValueError) as error:
                y = error
        results.append(y[0] if isinstance(y, tuple) else y)
    expected, y = results
    if isinstance(expected, Exception) or isinstance(y, Exception):
        refused = isinstance(y, NotImplementedError)
        if isinstance(expected, Exception):
            return None if refused or type(y) is type(expected) else f"{y!r} for {expected!r}"
        # PyTorch does not look at the dtype before it has a number to compute with; we do
        return None if refused and not args[0].size else f"{y!r} for {expected}"
    if isinstance(expected, bool):
        return None if y is expected else f"{y} for {expected}"
    if str(y.dtype) != str(expected.dtype).removeprefix("torch."):
        return f"{y.dtype} for {expected.dtype}"
    tolerance = TOLERANCE.get(str(y.dtype), 0.0)
    try:
        np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=tolerance, atol=tolerance)
    except AssertionError:
        return f"{y} for {expected}"
    return None


def assert_agreement(torch, f, calls):
    """No call of (arguments, options) is answered otherwise than PyTorch does."""
    wrong = {}
    for args, options in calls:
        if found := disagreement(torch, f, *args, **options):
            kinds = [f"{a.dtype}{a.shape}" if isinstance(a, np.ndarray) else a for a in args]
            wrong[f"{kinds} {options}"] = found
    assert wrong == {}


@pytest.mark.parametrize("name", table.UNARY)
def test_elementwise_ops_of_one_operand_answer_every_dtype_as_pytorch(torch, name):
    arrays = [inputs(dtype, shape) for dtype in table.DTYPES for shape in [(), (3,), (0,)]]
    assert_agreement(torch, lambda library: function(library, name), [((a,), {}) for a in arrays])


@pytest.mark.parametrize("name", table.BINARY)
def test_elementwise_ops_of_two_operands_promote_every_pair_as_pytorch(torch, name):
    shapes = [((3,), (3,)), ((), (3,)), ((3,), ()), ((), ())]
    calls = [
        ((inputs(a, s), inputs(b, t)), {})
        for a, b in itertools.product(table.DTYPES, repeat=2)
        for s, t in shapes
    ]
    calls += [
        ((inputs(a, s), scalar), {}) for a in table.DTYPES for s in [(), (3,)] for scalar in SCALARS
    ]
    assert_agreement(torch, lambda library: function(library, name), calls)


@pytest.mark.parametrize(
    ("name", "f"),
    [
        ("clamp", lambda library: lambda x, y: library.clamp(x, min=y)),
        ("clip", lambda library: lambda x, y: library.clip(x, max=y)),
        ("where", lambda library: lambda x, y: library.where(x == x, x, y)),
        ("masked_fill", lambda library: lambda x, y: library.masked_fill(x, x == x, y)),
        ("matmul", lambda library: lambda x, y: library.matmul(x, y)),
        ("outer", lambda library: lambda x, y: library.outer(x, y)),
        ("cat", lambda library: lambda x, y: library.cat([x, y])),
        ("stack", lambda library: lambda x, y: library.stack([x, y])),
        ("+=", lambda library: lambda x, y: x.add_(y)),
        ("*=", lambda library: lambda x, y: x.mul_(y)),
        ("/=", lambda library: lambda x, y: x.div_(y)),
        ("copy_", lambda library: lambda x, y: x.copy_(y)),
        ("x[0] = y", lambda library: lambda x, y: (x.__setitem__(0, y), x)[1]),
    ],
)
def test_other_functions_of_two_tensors_promote_every_pair_as_pytorch(torch, name, f):
    shapes = [((3,), (3,)), ((3,), ())]
    calls = [
        ((inputs(a, s), inputs(b, t)), {})
        for a, b in itertools.product(table.DTYPES, repeat=2)
        for s, t in shapes
    ]
    calls += [((inputs(a, (3,)), scalar), {}) for a in table.DTYPES for scalar in SCALARS]
    assert_agreement(torch, f, calls)


@pytest.mark.parametrize("name", table.REDUCTIONS)
def test_reductions_answer_every_dtype_as_pytorch(torch, name):
    every = {} if name not in (*table.KEEP_SHAPE, "logsumexp") else {"dim": 0}
    options = [every, {"dim": 0}, {"dim": -1}]
    if name in ("sum", "mean", "prod", "norm", *table.KEEP_SHAPE):
        options += [{**every, "dtype": dtype} for dtype in table.DTYPES]
    calls = [
        ((inputs(dtype, shape),), option)
        for dtype in table.DTYPES
        for shape in [(), (3,), (2, 3), (0,), (2, 0)]
        for option in options
    ]
    assert_agreement(torch, lambda library: function(library, name), calls)
