"""Adam for engines that bring no optimizer, as Kingma and Ba (2015) write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_mmb.bench.engines.workloads import BETAS, EPSILON, LEARNING_RATE, Array

Trees = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]


def adam(
    p: Mapping[str, Any], g: Mapping[str, Any], m: Mapping[str, Any], v: Mapping[str, Any],
    t: Any, sqrt: Callable[[Any], Any],
) -> Trees:  # fmt: skip
    """New parameters, means and squares after step number t; nothing is changed in place."""
    b1, b2 = BETAS
    m = {k: b1 * m[k] + (1 - b1) * g[k] for k in p}
    v = {k: b2 * v[k] + (1 - b2) * g[k] * g[k] for k in p}
    rate, root = LEARNING_RATE / (1 - b1**t), sqrt(1 - b2**t)
    p = {k: p[k] - rate * m[k] / (sqrt(v[k]) / root + EPSILON) for k in p}
    return p, m, v


class InPlaceAdam:
    """The same over NumPy arrays, which it changes."""

    def __init__(self, parameters: Sequence[Array]) -> None:
        self.parameters, self.t = parameters, 0
        self.m, self.v = ([np.zeros_like(p) for p in parameters] for _ in range(2))

    def step(self, gradients: Sequence[Array]) -> None:
        b1, b2 = BETAS
        self.t += 1
        rate, root = LEARNING_RATE / (1 - b1**self.t), (1 - b2**self.t) ** 0.5
        for p, g, m, v in zip(self.parameters, gradients, self.m, self.v, strict=True):
            m *= b1
            m += (1 - b1) * g
            v *= b2
            v += (1 - b2) * (g * g)
            p -= rate * m / (np.sqrt(v) / root + EPSILON)
