"""Elementwise arithmetic: the pattern that every other op follows.

`forward` is the formula on arrays, `backward` the derivative times g = ∂L/∂y. Broadcasting and
dtypes are undone by the engine, once, for all ops.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import promotion
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import Array, namespace

__all__ = ["add", "div", "exp", "mul", "neg", "sub"]

Operand: TypeAlias = Tensor | Array | float


class Elementwise(Function):
    """One number in, one number out, at each place. Integers become floats."""

    promotion = promotion.floating

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield (rng.uniform(0.5, 2.0, (n, n)),)
        yield (rng.uniform(-0.9, -0.1, (n, 2 * n)).T[::2],)
        yield (rng.uniform(0.1, 0.9, ()),)


class Binary(Function):
    """Two operands, broadcast against each other."""

    promotion = promotion.common
    broadcasts = True

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        a, b = rng.uniform(0.5, 2.0, (n, n)), rng.uniform(2.5, 4.0, (n, n))
        yield a, b
        yield a.T, b[0]
        yield a[:, :1], b[:1]
        yield a[0, 0, ...], b
        yield a, 2.5


class Add(Binary):
    """y = a + b.   ∂L/∂a = g,  ∂L/∂b = g."""

    @staticmethod
    def forward(a: Array, b: Array) -> Array:
        return a + b

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g, g


class Sub(Binary):
    """y = a - b.   ∂L/∂a = g,  ∂L/∂b = -g."""

    promotion = promotion.difference

    @staticmethod
    def forward(a: Array, b: Array) -> Array:
        return a - b

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g, -g if ctx.needs_input_grad[1] else None


class Mul(Binary):
    """y = a · b.   ∂L/∂a = g · b,  ∂L/∂b = g · a."""

    promotion = promotion.product

    @staticmethod
    def forward(a: Array, b: Array) -> Array:
        return a * b

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        (a, b), (need_a, need_b) = inputs, ctx.needs_input_grad
        ctx.save_for_backward(a if need_b else None, b if need_a else None)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (a, b), (need_a, need_b) = ctx.saved_tensors, ctx.needs_input_grad
        return g * b if need_a else None, g * a if need_b else None


class Div(Binary):
    """y = a / b.   ∂L/∂a = g / b,  ∂L/∂b = -g · (a / b) / b."""

    promotion = promotion.quotient

    @staticmethod
    def forward(a: Array, b: Array) -> Array:
        return a / b

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        (a, b), need_b = inputs, ctx.needs_input_grad[1]
        ctx.save_for_backward(a if need_b else None, b)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (a, b), (need_a, need_b) = ctx.saved_tensors, ctx.needs_input_grad
        return g / b if need_a else None, -g * ((a / b) / b) if need_b else None


class Neg(Elementwise):
    """y = -x.   ∂L/∂x = -g."""

    promotion = promotion.kept

    @staticmethod
    def forward(x: Array) -> Array:
        if x.dtype.kind == "b":
            raise RuntimeError("neg: -x of a bool Tensor is not supported; invert a mask with ~x.")
        return -x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return -g


class Exp(Elementwise):
    """y = eˣ.   ∂L/∂x = g · y."""

    @staticmethod
    def forward(x: Array) -> Array:
        return namespace(x).exp(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return g * y


@method(inplace=True)
def add(input: X, other: Operand, *, alpha: float = 1) -> X:
    """input + alpha · other."""
    if alpha == 1 and type(alpha) is int:
        return Add.apply(input, other)
    return Add.apply(input, ops.arithmetic.scaled(promotion.common, input, other, alpha))


@method(inplace=True)
def sub(input: X, other: Operand, *, alpha: float = 1) -> X:
    """input - alpha · other. Raises RuntimeError for bools."""
    if alpha == 1 and type(alpha) is int:
        return Sub.apply(input, other)
    return Sub.apply(input, ops.arithmetic.scaled(promotion.difference, input, other, alpha))


@method(inplace=True)
def mul(input: X, other: Operand) -> X:
    """input · other."""
    return Mul.apply(input, other)


@method(inplace=True)
def div(input: X, other: Operand, *, rounding_mode: str | None = None) -> X:
    """input / other: true division, or its quotient rounded by 'trunc' (to 0) or 'floor' (down)."""
    if rounding_mode is None:
        return Div.apply(input, other)
    return ops.arithmetic.rounded_quotient(input, other, rounding_mode)


@method(inplace=True)
def neg(input: X) -> X:
    """-input. Raises RuntimeError for bools."""
    return Neg.apply(input)


@method(inplace=True)
def exp(input: X) -> X:
    """eˣ of each element."""
    return Exp.apply(input)
