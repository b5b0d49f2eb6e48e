"""First the numbers, then the time: whoever computes something else than the others is not timed.

All are compared with our own formulas in float64, without any compiled kernel. A training step is
checked by the losses of its first steps, which five updates have gone into; any other workload by
marks of its results: the norm of each array and its products with fixed random directions, in which
an error of any entry shows, and which are few enough to be sent between processes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_mmb.bench.engines.workloads import Array

DIRECTIONS = 3
TOLERANCE = 2e-3  # float32, five steps of Adam, which turns roundings of small gradients into steps
RELATIVE = 1e-3  #  of one gradient; orders of summation differ between libraries


def mark(array: Array) -> list[float]:
    """The norm, and the products with directions of random ±1."""
    flat = np.asarray(array, np.float64).ravel()
    rng = np.random.default_rng(flat.size)
    found = [float(np.linalg.norm(flat))]
    for _ in range(DIRECTIONS):
        signs = 2.0 * rng.integers(0, 2, flat.size, dtype=np.int8) - 1.0
        found.append(float(flat @ signs))
    return found


def difference(found: dict[str, Any], expected: dict[str, Any]) -> str | None:
    """Where an engine's first answer differs from the expected one; None if it agrees.

    An expected answer of which there is nothing to compare with is no agreement.
    """
    if expected["losses"]:
        return of_losses(found["losses"], expected["losses"])
    return of_marks(found["marks"], expected["marks"])


def of_losses(found: Sequence[float], expected: Sequence[float]) -> str | None:
    if len(found) != len(expected):
        return f"{len(found)} losses, expected {len(expected)}"
    for k, (a, b) in enumerate(zip(found, expected, strict=True), 1):
        if not abs(a - b) <= TOLERANCE * max(1.0, abs(b)):  # so that NaN is not within
            return f"loss of step {k} is {a:.6g}, expected {b:.6g}"
    return None


def of_marks(found: Sequence[Sequence[float]], expected: Sequence[Sequence[float]]) -> str | None:
    if not expected or len(found) != len(expected):
        return f"{len(found)} results, expected {len(expected)}"
    for k, (a, b) in enumerate(zip(found, expected, strict=True), 1):
        # an error of relative size ε moves a product by about ε times the norm, rarely by 4 times
        allowed = 4.0 * RELATIVE * b[0]
        worst = max(abs(x - y) for x, y in zip(a, b, strict=True))
        if not worst <= allowed or not all(map(math.isfinite, a)):
            return f"result {k} is off by {worst:.3g}, its norm being {b[0]:.3g}"
    return None
