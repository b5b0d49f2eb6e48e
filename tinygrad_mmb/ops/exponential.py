"""Logarithms, exponentials and what is made of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.half_precision import widened
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import X
from tinygrad_mmb.backend import Array, cast_in_layout, float64, namespace
from tinygrad_mmb.ops.elementwise import Elementwise

__all__ = ["erf", "expm1", "log", "log1p", "log2", "sigmoid"]


class Log(Elementwise):
    """y = ln x.   ∂L/∂x = g / x."""

    @staticmethod
    def forward(x: Array) -> Array:
        return namespace(x).log(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g / x

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield (rng.uniform(0.5, 2.0, (n, n)),)
        yield (rng.uniform(0.5, 2.0, (n, 2 * n)).T[::2],)
        yield (rng.uniform(0.5, 2.0, ()),)


class Log2(Log):
    """y = log₂ x.   ∂L/∂x = g / (x · ln 2)."""

    @staticmethod
    def forward(x: Array) -> Array:
        return namespace(x).log2(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g / (x * math.log(2.0))


class Log1p(Log):
    """y = ln(1 + x), exact for small x.   ∂L/∂x = g / (1 + x)."""

    @staticmethod
    def forward(x: Array) -> Array:
        return namespace(x).log1p(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g / (x + 1.0)


class Expm1(Elementwise):
    """y = eˣ - 1, exact for small x.   ∂L/∂x = g · (y + 1)."""

    @staticmethod
    def forward(x: Array) -> Array:
        return namespace(x).expm1(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return g * (y + 1.0)


class Sigmoid(Elementwise):
    """y = 1 / (1 + e⁻ˣ).   ∂L/∂x = g · y · (1 - y)."""

    @staticmethod
    def forward(x: Array) -> Array:
        # e⁻ˣ overflows to ∞ for very negative x, and 1 / ∞ = 0 is then right
        y = 1.0 / (1.0 + namespace(x).exp(-widened(x)))
        return y if y.dtype == x.dtype else y.astype(x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return g * ((1.0 - y) * y)


class Erf(Elementwise):
    """y = 2/√π ∫₀ˣ e⁻ᵗ² dt.   ∂L/∂x = g · 2/√π · e⁻ˣ².

    Source: W. J. Cody, Rational Chebyshev approximations for the error function, Mathematics of
    Computation 23 (1969). Relative error below 1e-15 in float64; other dtypes are computed in it.
    """

    @staticmethod
    def forward(x: Array) -> Array:
        xp = namespace(x)
        wide = cast_in_layout(x, float64)
        size = xp.minimum(xp.abs(wide), 6.0)  # beyond, erf is 1 to the last bit
        square = wide * wide
        near = wide * ratio(NEAR_TOP, NEAR_BOTTOM, xp.minimum(square, 0.25))
        far = 1.0 - xp.exp(-size * size) * ratio(FAR_TOP, FAR_BOTTOM, size)
        return xp.where(size <= 0.46875, near, xp.copysign(far, wide)).astype(x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * (2.0 / math.sqrt(math.pi) * ops.exp(-(x * x)))

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield (rng.uniform(-3.0, 3.0, (n, n)),)
        yield (rng.uniform(-0.4, 0.4, ()),)


# Cody's coefficients, highest power first: erf x / x in x², and e^(x²) · (1 - erf x) in x.
NEAR_TOP = (
    1.85777706184603153e-1,
    3.16112374387056560e0,
    1.13864154151050156e2,
    3.77485237685302021e2,
    3.20937758913846947e3,
)
NEAR_BOTTOM = (
    1.0,
    2.36012909523441209e1,
    2.44024637934444173e2,
    1.28261652607737228e3,
    2.84423683343917062e3,
)
FAR_TOP = (
    2.15311535474403846e-8,
    5.64188496988670089e-1,
    8.88314979438837594e0,
    6.61191906371416295e1,
    2.98635138197400131e2,
    8.81952221241769090e2,
    1.71204761263407058e3,
    2.05107837782607147e3,
    1.23033935479799725e3,
)
FAR_BOTTOM = (
    1.0,
    1.57449261107098347e1,
    1.17693950891312499e2,
    5.37181101862009858e2,
    1.62138957456669019e3,
    3.29079923573345963e3,
    4.36261909014324716e3,
    3.43936767414372164e3,
    1.23033935480374942e3,
)


def ratio(top: tuple[float, ...], bottom: tuple[float, ...], x: Array) -> Array:
    """P(x) / Q(x) by Horner's rule."""
    p, q = x * 0.0 + top[0], x * 0.0 + bottom[0]
    for a, b in zip(top[1:], bottom[1:], strict=True):
        p, q = p * x + a, q * x + b
    return p / q


@method(inplace=True)
def log(input: X) -> X:
    """Natural logarithm of each element."""
    return Log.apply(input)


@method(inplace=True)
def log2(input: X) -> X:
    """Logarithm to base 2 of each element."""
    return Log2.apply(input)


@method(inplace=True)
def log1p(input: X) -> X:
    """ln(1 + input) of each element, exact for small input."""
    return Log1p.apply(input)


@method(inplace=True)
def expm1(input: X) -> X:
    """eˣ - 1 of each element, exact for small input."""
    return Expm1.apply(input)


@method(inplace=True)
def sigmoid(input: X) -> X:
    """1 / (1 + e⁻ˣ) of each element."""
    return Sigmoid.apply(input)


@method(inplace=True)
def erf(input: X) -> X:
    """The error function of each element: how much of a bell curve lies within ±x√2 deviations."""
    return Erf.apply(input)
