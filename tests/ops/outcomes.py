"""What a call gave, a result or an error, and whether two results are the same numbers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tinygrad_mmb as tm

EPSILON = {"float64": 2e-13, "float32": 2e-6, "float16": 4e-3}  # for errors of some last places
REFUSALS = (RuntimeError, TypeError, NotImplementedError, ZeroDivisionError)

# each property runs with a few draws, and as `slow` with many
few_and_many = pytest.mark.parametrize(
    "effort", [12, pytest.param(300, marks=pytest.mark.slow)], ids=["few", "many"]
)


def arrays_of(y):
    """The arrays of one result or of several."""
    if isinstance(y, (tuple, list)):
        return [a for part in y for a in arrays_of(part)]
    return [y.detach().numpy() if isinstance(y, tm.Tensor) else np.asarray(y)]


def assert_close(got, expected, tolerance=0.0):
    """Alike in kind, shape and values, the tolerance relative to the largest value."""
    for a, b in zip(arrays_of(got), arrays_of(expected), strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        scale = 1.0
        if tolerance:
            scale = max(scale, float(np.abs(b[np.isfinite(b)]).max(initial=0.0)))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale)


def quietly(f, *args, **options):
    """Without NumPy's warnings about infinities and ours about degrees of freedom."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return f(*args, **options)


def outcome(f, *args, **options):
    """The result, or the kind of error."""
    try:
        return quietly(f, *args, **options)
    except (*REFUSALS, IndexError, ValueError) as error:
        return type(error)
