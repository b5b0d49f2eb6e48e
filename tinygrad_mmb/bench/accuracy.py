"""How wrong a result is, and how wrong rounding alone can make it.

The error is the largest difference from a float64 reference, relative to the largest entry of the
result. A sum of n products in precision u is off by about λ √n u of the sum of their magnitudes
with a probability that λ = 8 makes overwhelming (Higham and Mary, "A new approach to probabilistic
rounding error analysis", SIAM J. Sci. Comput. 41, 2019); a kernel that leaves out a term of a few
thousand, or reads a neighbour's, is off by far more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

LAMBDA = 8.0
UNIT = {  # half the distance from 1 to the next number
    "float64": 2.0**-53,
    "float32": 2.0**-24,
    "tf32": 2.0**-11,
    "float16": 2.0**-11,
    "bfloat16": 2.0**-8,
}


def tolerance(dtype: str, depth: float) -> float:
    """The largest relative error that rounding explains, for sums of `depth` terms.

    16-bit and TF32 numbers are summed in float32, so for them only the rounding of the result is
    coarse, and with TF32 that of both factors, which some kernels cut off instead of rounding.
    """
    own = (4 if dtype == "tf32" else 2) * UNIT[dtype]
    return own + LAMBDA * (1.0 + math.sqrt(depth)) * min(UNIT[dtype], UNIT["float32"])


def error(expected: Sequence[Any], found: Sequence[Any]) -> float:
    """The largest error over several results, as NumPy arrays; inf where they do not fit.

    NaN counts as right only where NaN is expected.
    """
    if len(expected) != len(found):
        return math.inf
    return max(map(error_of, expected, found), default=0.0)


def error_of(expected: Any, found: Any) -> float:
    """The same for one result."""
    if expected is None or found is None:
        return 0.0 if expected is found else math.inf
    e, f = np.asarray(expected, np.float64), np.asarray(found, np.float64)
    if e.shape != f.shape:
        return math.inf
    if not e.size:
        return 0.0
    odd = ~np.isfinite(e)
    if not np.array_equal(e[odd], f[odd], equal_nan=True) or not np.isfinite(f[~odd]).all():
        return math.inf
    scale = np.max(np.abs(e[~odd]), initial=0.0)
    return float(np.max(np.abs(e - f)[~odd], initial=0.0) / (scale or 1.0))


def worst_place(expected: Sequence[Any], found: Sequence[Any]) -> str:
    """Where two results differ most, in words for whoever wrote the kernel."""
    if len(expected) != len(found):
        return f"{len(found)} results came, but {len(expected)} were expected"
    for k, (e, f) in enumerate(zip(expected, found, strict=True)):
        which = "the result" if len(expected) == 1 else f"result {k}"
        if e is None or f is None:
            if e is not f:
                return f"{which} is {'missing' if f is None else 'not expected'}"
            continue
        e, f = np.asarray(e, np.float64), np.asarray(f, np.float64)
        if e.shape != f.shape:
            return f"{which} has shape {f.shape}, but {e.shape} was expected"
    k = max(range(len(expected)), key=lambda i: error_of(expected[i], found[i]))
    e, f = np.asarray(expected[k], np.float64), np.asarray(found[k], np.float64)
    away = np.abs(e - f)
    away[np.isnan(away)] = np.inf
    away[np.isnan(e) & np.isnan(f) | (e == f)] = 0.0
    at = np.unravel_index(int(np.argmax(away)), e.shape)
    where = f"[{', '.join(str(int(i)) for i in at)}]"
    return f"at {where} {f[at]:.6g} came, but {e[at]:.6g} was expected"
