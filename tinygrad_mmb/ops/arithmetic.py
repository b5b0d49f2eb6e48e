"""What the four operations have beside the plain case: alpha, rounded division, second names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import promotion
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import Array, DType, bool_, float16, float32, is_array, namespace
from tinygrad_mmb.ops.elementwise import Binary, Operand

__all__ = [
    "divide",
    "floor_divide",
    "multiply",
    "negative",
    "positive",
    "remainder",
    "subtract",
    "true_divide",
]


class Trunc(Binary):
    """y = a / b, rounded towards 0.   ∂L/∂a = ∂L/∂b = 0: a staircase is flat."""

    @staticmethod
    def forward(a: Any, b: Any) -> Array:
        xp = namespace(a, b)
        dtype = refuse_zero_and_bool("div", a, b)
        if dtype.kind == "f":
            one_divisor = not is_array(b) or b.ndim == 0  # is kept in float32, as in `div`
            inside = float32 if dtype == float16 and one_divisor else dtype
            return xp.trunc(xp.true_divide(a, b, dtype=inside)).astype(dtype)
        down = xp.floor_divide(a, b)  # one too low where the signs differ and something is left
        return down + ((down * b != a) & ((a < 0) != (b < 0))).astype(dtype)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return ops.selection.flat(g), ops.selection.flat(g)


class Floor(Trunc):
    """y = ⌊a / b⌋.   ∂L/∂a = ∂L/∂b = 0: a staircase is flat."""

    @staticmethod
    def forward(a: Any, b: Any) -> Array:
        refuse_zero_and_bool("div", a, b)
        return namespace(a, b).floor_divide(a, b)


class FloorDivide(Function):
    """y = ⌊a / b⌋, as the operator `//`, which PyTorch does not differentiate."""

    promotion = promotion.common
    broadcasts = True
    forward = Floor.forward

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.integers(-9, 9, (n, n)), rng.integers(1, 5, n)


class Remainder(Binary):
    """y = a - b ⌊a / b⌋, of the sign of b.   ∂L/∂a = g,  ∂L/∂b = -g · ⌊a / b⌋."""

    @staticmethod
    def forward(a: Any, b: Any) -> Array:
        xp = namespace(a, b)
        if refuse_zero_and_bool("remainder", a, b).kind != "f":
            return xp.remainder(a, b)
        rest = xp.fmod(a, b)  # of the sign of a
        return xp.where((rest != 0) & ((b < 0) != (rest < 0)), rest + b, rest)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        a, b = ctx.saved_tensors
        if not hasattr(a, "dtype"):
            raise RuntimeError(
                "derivative for remainder of a number by a Tensor is not implemented, in PyTorch "
                "neither. Make the number a Tensor: remainder(tensor(a), b)."
            )
        gb = -g * Floor.apply(a, b) if ctx.needs_input_grad[1] else None
        return g, gb


def refuse_zero_and_bool(name: str, a: Any, b: Any) -> DType:
    """The dtype of two operands that may be divided with rounding.

    Raises: NotImplementedError for bools, RuntimeError for an integer divided by 0.
    """
    dtype = (a if is_array(a) else b).dtype
    if dtype.kind == "b":
        raise NotImplementedError(f"{name}: rounded division is not implemented for Bool.")
    if dtype.kind != "f" and has_zero(a, b):
        raise RuntimeError(f"{name}: ZeroDivisionError: an integer cannot be divided by 0.")
    return dtype


def has_zero(a: Any, b: Any) -> bool:
    """Whether some element of a / b is divided by 0."""
    if not is_array(b):
        return b == 0 and a.size > 0
    return bool((b == 0).any()) and (not is_array(a) or a.size > 0)


def rounded_quotient(input: X, other: Operand, rounding_mode: str) -> X:
    """input / other, rounded towards 0 ('trunc') or down ('floor').

    Raises: RuntimeError for any other mode.
    """
    if rounding_mode not in ("trunc", "floor"):
        raise RuntimeError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
            f"{rounding_mode!r}"
        )
    return (Trunc if rounding_mode == "trunc" else Floor).apply(input, other)


def scaled(meet: Callable[[list[Any]], Any], input: Any, other: Any, alpha: Any) -> Any:
    """alpha · other, in the dtype that input and other meet in.

    Raises: RuntimeError if that dtype cannot hold alpha.
    """
    operands = [x.array if isinstance(x, Tensor) else x for x in (input, other)]
    meet(operands)  # raises if they may not meet
    dtype = promotion.result_type(operands)
    if isinstance(alpha, Tensor) and alpha.ndim == 0 and not alpha.requires_grad:
        alpha = alpha.array.item()
    if not isinstance(alpha, (bool, int, float)):
        raise TypeError(f"argument 'alpha' must be Number, not {type(alpha).__name__}")
    if isinstance(alpha, bool) and dtype != bool_:
        raise RuntimeError(f"Boolean alpha only supported for Boolean results, not for {dtype}.")
    if isinstance(alpha, float) and dtype.kind != "f":
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number: "
            f"the result is {dtype} and alpha={alpha}."
        )
    alpha = promotion.fits(alpha, dtype, "alpha")
    if not hasattr(other, "dtype"):
        if dtype.kind == "f":  # in the dtype, as PyTorch: what overflows there is ∞, and 0 · ∞ NaN
            inside = float32 if dtype == float16 else dtype
            return float(inside.type(promotion.number(other)) * inside.type(alpha))
        return promotion.cast(promotion.cast(other, dtype) * alpha, dtype)
    return ops.mul(ops.to(other, dtype), alpha)


@method(inplace=True)
def floor_divide(input: X, other: Operand) -> X:
    """⌊input / other⌋, as the operator `//`. It carries no gradient; div(rounding_mode=) does."""
    return FloorDivide.apply(input, other)


@method(inplace=True)
def remainder(input: X, other: Operand) -> X:
    """input - other · ⌊input / other⌋, as the operator `%`: of the sign of `other`."""
    return Remainder.apply(input, other)


@method(inplace=True)
def subtract(input: X, other: Operand, *, alpha: float = 1) -> X:
    """The same as `sub`."""
    return ops.sub(input, other, alpha=alpha)


@method(inplace=True)
def multiply(input: X, other: Operand) -> X:
    """The same as `mul`."""
    return ops.mul(input, other)


@method(inplace=True)
def divide(input: X, other: Operand, *, rounding_mode: str | None = None) -> X:
    """The same as `div`."""
    return ops.div(input, other, rounding_mode=rounding_mode)


@method(inplace=True)
def true_divide(input: X, other: Operand) -> X:
    """The same as `div` without rounding."""
    return ops.div(input, other)


@method(inplace=True)
def negative(input: X) -> X:
    """The same as `neg`."""
    return ops.neg(input)


@method
def positive(input: X) -> X:
    """+input, which is input itself. Raises RuntimeError for bools."""
    if input.dtype == bool_:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input
