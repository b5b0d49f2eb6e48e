"""Whole numbers, signs and magnitudes."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import promotion
from tinygrad_mmb.autograd.half_precision import widened
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import X
from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.ops.elementwise import Elementwise
from tinygrad_mmb.ops.views import whole

__all__ = ["abs", "absolute", "ceil", "floor", "round", "sign"]


class Abs(Elementwise):
    """y = |x|.   ∂L/∂x = g · sign x, so 0 at 0."""

    promotion = promotion.kept

    @staticmethod
    def forward(x: Array) -> Array:
        refuse_bool("abs", x)
        return namespace(x).abs(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * ops.sign(x)


class Staircase(Elementwise):
    """Constant between its jumps.   ∂L/∂x = 0."""

    promotion = promotion.kept

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return ops.selection.flat(g)


class Sign(Staircase):
    """y = 1 for x > 0, -1 for x < 0, else 0, for NaN too.   ∂L/∂x = 0."""

    @staticmethod
    def forward(x: Array) -> Array:
        if x.dtype.kind == "b":
            return x.copy(order="K")
        return (x > 0).astype(x.dtype) - (x < 0).astype(x.dtype)


class Floor(Staircase):
    """y = ⌊x⌋, the largest integer that is not above x.   ∂L/∂x = 0."""

    @staticmethod
    def forward(x: Array) -> Array:
        refuse_bool("floor", x)
        return namespace(x).floor(x) if x.dtype.kind == "f" else x.copy(order="K")


class Ceil(Staircase):
    """y = ⌈x⌉, the smallest integer that is not below x.   ∂L/∂x = 0."""

    @staticmethod
    def forward(x: Array) -> Array:
        refuse_bool("ceil", x)
        return namespace(x).ceil(x) if x.dtype.kind == "f" else x.copy(order="K")


class Round(Staircase):
    """y = the nearest multiple of 10⁻ᵈ; halves go to the even neighbour.   ∂L/∂x = 0."""

    @staticmethod
    def forward(x: Array, decimals: int) -> Array:
        refuse_bool("round", x)
        if x.dtype.kind != "f":
            if decimals:
                raise NotImplementedError(f"round with decimals is not implemented for {x.dtype}.")
            return x.copy(order="K")
        xp, wide = namespace(x), widened(x)
        unit = 10.0 ** (decimals if decimals > 0 else -decimals)
        y = xp.rint(wide * unit) / unit if decimals > 0 else xp.rint(wide / unit) * unit
        return y.astype(x.dtype)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return ops.selection.flat(g), None

    @staticmethod
    def samples(rng: Any, n: int) -> Any:
        yield rng.uniform(0.6, 1.4, (n, n)), 0
        yield rng.uniform(0.0, 9.0, n) // 1.0 + 0.26, 1


def refuse_bool(name: str, x: Array) -> None:
    """Where PyTorch has no bool version. Raises NotImplementedError."""
    if x.dtype.kind == "b":
        raise NotImplementedError(f"{name} is not implemented for Bool. Convert: x.to(int64).")


@method(inplace=True)
def abs(input: X) -> X:
    """|input| of each element."""
    return Abs.apply(input)


@method(inplace=True)
def absolute(input: X) -> X:
    """The same as `abs`."""
    return Abs.apply(input)


@method(inplace=True)
def sign(input: X) -> X:
    """-1, 0 or 1 for each element; 0 for NaN."""
    return Sign.apply(input)


@method(inplace=True)
def floor(input: X) -> X:
    """Each element rounded down."""
    return Floor.apply(input)


@method(inplace=True)
def ceil(input: X) -> X:
    """Each element rounded up."""
    return Ceil.apply(input)


@method(inplace=True)
def round(input: X, *, decimals: Any = ...) -> X:
    """Each element rounded to `decimals` digits after the point, halves to the even neighbour."""
    if decimals is not ... and input.dtype.kind != "f":
        raise NotImplementedError(f"round with decimals is not implemented for {input.dtype}.")
    return Round.apply(input, 0 if decimals is ... else whole(decimals, "decimals"))
