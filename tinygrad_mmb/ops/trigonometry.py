"""Trigonometric and hyperbolic functions, angles in radians."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import promotion
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.ops.elementwise import Binary, Elementwise

__all__ = ["atan2", "cos", "cosh", "sin", "sinh", "tan", "tanh"]


class Sin(Elementwise):
    """y = sin x.   ∂L/∂x = g · cos x."""

    @staticmethod
    def forward(x: Array) -> Array:
        return namespace(x).sin(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * ops.cos(x)


class Cos(Elementwise):
    """y = cos x.   ∂L/∂x = -g · sin x."""

    @staticmethod
    def forward(x: Array) -> Array:
        return namespace(x).cos(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return -g * ops.sin(x)


class Tan(Elementwise):
    """y = tan x.   ∂L/∂x = g · (1 + y²)."""

    @staticmethod
    def forward(x: Array) -> Array:
        return namespace(x).tan(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return g * (1.0 + y * y)


class Sinh(Elementwise):
    """y = (eˣ - e⁻ˣ) / 2.   ∂L/∂x = g · cosh x."""

    @staticmethod
    def forward(x: Array) -> Array:
        return namespace(x).sinh(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * ops.cosh(x)


class Cosh(Elementwise):
    """y = (eˣ + e⁻ˣ) / 2.   ∂L/∂x = g · sinh x."""

    @staticmethod
    def forward(x: Array) -> Array:
        return namespace(x).cosh(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * ops.sinh(x)


class Tanh(Elementwise):
    """y = tanh x.   ∂L/∂x = g · (1 - y²)."""

    @staticmethod
    def forward(x: Array) -> Array:
        return namespace(x).tanh(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return g * (1.0 - y * y)


class Atan2(Binary):
    """y = angle of the point (b, a).   ∂L/∂a = g · b / (a² + b²),  ∂L/∂b = -g · a / (a² + b²)."""

    promotion = promotion.floating

    @staticmethod
    def forward(a: Array, b: Array) -> Array:
        return namespace(a, b).arctan2(a, b)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        a, b = ctx.saved_tensors
        square = a * a + b * b
        h = ops.where(square == 0, 0.0, ops.reciprocal(square))  # no direction at the origin
        need_a, need_b = ctx.needs_input_grad
        return g * b * h if need_a else None, g * -a * h if need_b else None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.uniform(0.5, 2.0, (n, n)), rng.uniform(-2.0, -0.5, (n, n))
        yield rng.uniform(-2.0, -0.5, (n, 1)), rng.uniform(0.5, 2.0, n)


@method(inplace=True)
def sin(input: X) -> X:
    """Sine of each element, an angle in radians."""
    return Sin.apply(input)


@method(inplace=True)
def cos(input: X) -> X:
    """Cosine of each element, an angle in radians."""
    return Cos.apply(input)


@method(inplace=True)
def tan(input: X) -> X:
    """Tangent of each element, an angle in radians."""
    return Tan.apply(input)


@method(inplace=True)
def sinh(input: X) -> X:
    """Hyperbolic sine of each element."""
    return Sinh.apply(input)


@method(inplace=True)
def cosh(input: X) -> X:
    """Hyperbolic cosine of each element."""
    return Cosh.apply(input)


@method(inplace=True)
def tanh(input: X) -> X:
    """Hyperbolic tangent of each element."""
    return Tanh.apply(input)


@method(inplace=True)
def atan2(input: X, other: Tensor | Array) -> X:
    """The angle from the first axis to the point (other, input), between -π and π."""
    promotion.refuse_numbers("atan2", input, other)
    return Atan2.apply(input, other)
