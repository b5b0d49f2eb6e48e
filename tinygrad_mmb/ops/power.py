"""Powers and roots."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import promotion
from tinygrad_mmb.autograd.half_precision import widened
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import X
from tinygrad_mmb.backend import Array, float16, float32, is_array, namespace, waits
from tinygrad_mmb.ops.elementwise import Binary, Elementwise, Operand

__all__ = ["pow", "reciprocal", "rsqrt", "sqrt", "square"]


class Pow(Binary):
    """y = aᵇ.   ∂L/∂a = g · b · aᵇ⁻¹,  ∂L/∂b = g · y · ln a,  and 0 where that is 0 · ∞."""

    promotion = promotion.power

    @staticmethod
    def forward(a: Any, b: Any) -> Array:
        dtype = (a if is_array(a) else b).dtype
        if dtype.kind == "f":
            return a**b if is_array(b) else float_to_number(a, b)
        if dtype.kind != "b":
            return integer_power(a, b)
        if is_array(b):
            raise NotImplementedError('"pow" not implemented for Bool: convert first, x.to(int64).')
        if b and not float32.type(b):
            raise NotImplementedError(f"pow: a bool to the power {b}, which is nearly 0.")
        return a | (not b)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        (a, b), need_b = inputs, ctx.needs_input_grad[1]
        # Saved with every exponent that is a Tensor, as in PyTorch: writing over y is then refused.
        ctx.save_for_backward(a, b, output if need_b or hasattr(b, "dtype") else None)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (a, b, y), (need_a, need_b) = ctx.saved_tensors, ctx.needs_input_grad
        ga = gb = None
        if need_a and hasattr(b, "dtype"):
            ga = ops.where(b == 0, 0.0, g * (b * ops.pow(a, ops.sub(b, 1))))
        elif need_a:
            ga = ops.selection.flat(g) if b == 0 and b is not False else g * (b * ops.pow(a, b - 1))
        if need_b and hasattr(a, "dtype"):
            gb = g * ops.where(
                ops.logical_and(a == 0, b >= 0), 0.0, y * ops.log(ops.to(a, y.dtype))
            )
        elif need_b:
            growth = y * logarithm(a)
            gb = g * (ops.where(b >= 0, 0.0, growth) if a == 0 else growth)
        return ga, gb

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield from Binary.samples(rng, n)
        for b in (3, 2, 1, 0.5, -0.5, -1, -2):
            yield rng.uniform(0.5, 2.0, (n, n)), b
        yield 2.5, rng.uniform(-2.0, 2.0, (n, n))
        yield rng.uniform(-2.0, -0.5, (n, n)), 3


class Sqrt(Elementwise):
    """y = √x.   ∂L/∂x = g / 2y."""

    @staticmethod
    def forward(x: Array) -> Array:
        return namespace(x).sqrt(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return g / (2.0 * y)

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield (rng.uniform(0.5, 2.0, (n, n)),)
        yield (rng.uniform(0.5, 2.0, ()),)


class Rsqrt(Sqrt):
    """y = 1 / √x.   ∂L/∂x = -g · y³ / 2."""

    @staticmethod
    def forward(x: Array) -> Array:
        wide = widened(x)
        return (1.0 / namespace(x).sqrt(wide)).astype(x.dtype)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return g * (-0.5 * (y * y * y))


class Reciprocal(Elementwise):
    """y = 1 / x.   ∂L/∂x = -g · y²."""

    @staticmethod
    def forward(x: Array) -> Array:
        return 1.0 / x

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return -g * (y * y)


def float_to_number(a: Array, b: float) -> Array:
    """aᵇ for one exponent, written out where PyTorch does: √-∞ is NaN, though (-∞)^½ would be ∞."""
    if b == 2:
        return a * a
    if b == 3:
        return a * a * a
    if b == 1:
        return a.copy()
    if b in (0.5, -0.5) and a.dtype != float16:
        root = namespace(a).sqrt(a)
        return root if b > 0 else 1.0 / root
    if b in (-1, -2):
        return 1.0 / (a if b == -1 else a * a)
    exponent = promotion.fits(b, a.dtype, "pow")
    if exponent and not a.dtype.type(exponent):
        raise NotImplementedError(f"pow: the exponent {b} is 0 in {a.dtype}, but not in PyTorch.")
    return namespace(a).power(widened(a), exponent).astype(a.dtype)


def integer_power(a: Any, b: Any) -> Array:
    """aᵇ that wraps around; below b = 0 it is 1 / a⁻ᵇ rounded to 0, so 0 unless a is 1 or -1."""
    xp = namespace(a, b)
    if not is_array(b) or (not waits(b) and not (b < 0).any()):
        return a**b
    sign = xp.where(b % 2 == 0, 1, a)
    inverse = xp.where((a == 1) | (a == -1), sign, 0)
    return xp.where(b < 0, inverse, a ** xp.maximum(b, 0)).astype(b.dtype)


def logarithm(x: float) -> float:
    """ln x as arrays have it: -∞ at 0, NaN below."""
    return math.log(x) if x > 0 else -math.inf if x == 0 else math.nan


@method(inplace=True)
def pow(input: X, exponent: Operand) -> X:
    """input ** exponent. Raises RuntimeError for an integer to a negative number."""
    return Pow.apply(input, exponent)


@method(inplace=True)
def sqrt(input: X) -> X:
    """√input of each element."""
    return Sqrt.apply(input)


@method(inplace=True)
def rsqrt(input: X) -> X:
    """1 / √input of each element."""
    return Rsqrt.apply(input)


@method(inplace=True)
def reciprocal(input: X) -> X:
    """1 / input of each element."""
    return Reciprocal.apply(input)


@method(inplace=True)
def square(input: X) -> X:
    """x² of each element."""
    return Pow.apply(input, 2)
