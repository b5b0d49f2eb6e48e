"""Small data sets for the plane, and for the line: seen at a glance, trained in seconds."""

from __future__ import annotations

import numpy as np

from tinygrad_mmb.autograd.tensor import tensor
from tinygrad_mmb.backend import Array
from tinygrad_mmb.data.dataset import TensorDataset
from tinygrad_mmb.data.samplers import fresh_seed, rng_for
from tinygrad_mmb.ops.random import Generator


class Points(TensorDataset):
    """Points of two classes.   x (2,) float32, t () int64: 0 or 1."""

    def __init__(self, x: Array, t: Array) -> None:
        super().__init__(tensor(x.astype(np.float32)), tensor(t.astype(np.int64)))


class Curve(TensorDataset):
    """Values of a function, with noise.   x (1,) float32, t (1,) float32."""

    def __init__(self, x: Array, t: Array) -> None:
        x, t = x.astype(np.float32)[:, None], t.astype(np.float32)[:, None]
        super().__init__(tensor(x), tensor(t))


class XOR(Points):
    """The corners of the unit square in turn; class 1 where exactly one coordinate is 1.

    XOR() is the truth table. With `noise` > 0 points scatter around the corners by so much.
    """

    def __init__(self, n: int = 4, noise: float = 0.0, generator: Generator | None = None) -> None:
        corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])[np.arange(n) % 4]
        x = corners.astype(float)
        if noise:
            x = x + noise * rng_for(fresh_seed(generator)).standard_normal((n, 2))
        super().__init__(x, corners[:, 0] != corners[:, 1])


class Gauss(Points):
    """Two clouds, around (-2, -2) and (2, 2), of variance 0.5 + 7 · noise."""

    def __init__(self, n: int, noise: float = 0.0, generator: Generator | None = None) -> None:
        t = np.arange(n) % 2
        centres = np.where(t, 2.0, -2.0)[:, None]
        spread = np.sqrt(0.5 + 7.0 * noise)
        scatter = rng_for(fresh_seed(generator)).standard_normal((n, 2))
        super().__init__(centres + spread * scatter, t)


class Circles(Points):
    """A circle of radius 0.5 (class 0) within one of radius 1 (class 1)."""

    def __init__(self, n: int, noise: float = 0.0, generator: Generator | None = None) -> None:
        rng = rng_for(fresh_seed(generator))
        t = np.arange(n) % 2
        angle = rng.uniform(0.0, 2.0 * np.pi, n)
        radius = np.where(t, 1.0, 0.5)
        super().__init__(polar(radius, angle) + noise * rng.standard_normal((n, 2)), t)


class Spirals(Points):
    """Two arms that wind around each other, with the radius from 0.2 to 1."""

    def __init__(self, n: int, noise: float = 0.0, generator: Generator | None = None) -> None:
        rng = rng_for(fresh_seed(generator))
        t = np.arange(n) % 2
        radius = rng.uniform(0.2, 1.0, n)
        angle = 6.0 * radius + np.pi * t
        super().__init__(polar(radius, angle) + noise * rng.standard_normal((n, 2)), t)


class Moons(Points):
    """Two half circles that reach into each other."""

    def __init__(self, n: int, noise: float = 0.0, generator: Generator | None = None) -> None:
        rng = rng_for(fresh_seed(generator))
        t = np.arange(n) % 2
        arc = polar(np.ones(n), rng.uniform(0.0, np.pi, n))
        x = np.where(t[:, None], [1.0, 0.5] - arc, arc)
        super().__init__(x + noise * rng.standard_normal((n, 2)), t)


class Sine(Curve):
    """t = sin 2x + 0.3 x, for x from -3 to 3."""

    def __init__(self, n: int, noise: float = 0.0, generator: Generator | None = None) -> None:
        rng = rng_for(fresh_seed(generator))
        x = rng.uniform(-3.0, 3.0, n)
        super().__init__(x, np.sin(2.0 * x) + 0.3 * x + noise * rng.standard_normal(n))


class Quadratic(Curve):
    """t = 0.5 + x + 2 x², for x from -1 to 1."""

    def __init__(self, n: int, noise: float = 0.3, generator: Generator | None = None) -> None:
        rng = rng_for(fresh_seed(generator))
        x = rng.uniform(-1.0, 1.0, n)
        super().__init__(x, 0.5 + x + 2.0 * x**2 + noise * rng.standard_normal(n))


def polar(radius: Array, angle: Array) -> Array:
    """Points (n, 2) from polar coordinates."""
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
