"""Matrices as they may lie in memory, for the tests of products."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

TOLERANCE = {"float32": 3e-6, "float64": 4e-15}  # of the largest sum of |a b|: a few roundings


def laid_out(rows, cols, dtype, layout, rng):
    """A matrix of these sizes in one of LAYOUTS."""
    if layout == "transposed":
        return rng.standard_normal((cols, rows)).astype(dtype).T
    if layout == "part":
        return rng.standard_normal((rows + 2, cols + 5)).astype(dtype)[1:-1, 2:-3]
    if layout == "part, transposed":
        return rng.standard_normal((cols + 5, rows + 2)).astype(dtype)[2:-3, 1:-1].T
    if layout == "every other":
        return rng.standard_normal((2 * rows, 3 * cols)).astype(dtype)[::2, ::3]
    if layout == "backwards":
        return rng.standard_normal((rows, cols)).astype(dtype)[::-1, ::-1]
    if layout == "one row":
        return np.broadcast_to(rng.standard_normal(cols).astype(dtype), (rows, cols))
    if layout == "one number":
        return np.broadcast_to(rng.standard_normal(()).astype(dtype), (rows, cols))
    return rng.standard_normal((rows, cols)).astype(dtype)


LAYOUTS = (
    *("in rows", "transposed", "part", "part, transposed", "every other", "backwards"),
    *("one row", "one number"),
)
layouts = st.sampled_from(LAYOUTS)
dtypes = st.sampled_from(list(TOLERANCE))
# around the borders of tiles (6, 14 rows; 8 to 32 columns), of packing and of blocks of k
sizes = st.one_of(st.integers(0, 40), st.sampled_from([63, 64, 65, 127, 130, 257, 400]))


def assert_product(found, a, b, extra=0.0):
    """`found` is a b + extra, to the rounding of its dtype."""
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble) + extra
    size = np.abs(a).astype(float) @ np.abs(b).astype(float) + np.abs(extra) + 1e-30
    assert found.shape == exact.shape
    assert found.dtype == a.dtype
    error = np.abs(found - exact) / size
    limit = TOLERANCE[found.dtype.name] * max(1.0, a.shape[-1] ** 0.5 / 4)
    assert error.max(initial=0) < limit, (
        f"off by {error.max():.1e} of the sums, allowed {limit:.1e}"
    )
