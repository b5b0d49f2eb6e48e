"""Choosing between values: where, maximum, minimum, clamp, masked_fill."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import promotion
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import Tensor, X, wrap
from tinygrad_mmb.backend import (
    Array,
    as_array,
    bool_,
    float16,
    float32,
    float64,
    int16,
    int32,
    int64,
    is_array,
    namespace,
    uint8,
)
from tinygrad_mmb.ops.elementwise import Binary

__all__ = ["clamp", "clip", "masked_fill", "maximum", "minimum", "where"]


class Where(Function):
    """y = a where the condition holds, else b.   ∂L/∂a = g there, ∂L/∂b = g elsewhere."""

    promotion = promotion.branches
    broadcasts = True

    @staticmethod
    def forward(condition: Array, a: Any, b: Any) -> Array:
        return namespace(condition, a, b).where(condition, a, b)  # uint8: all but 0 is true

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (condition,), (_, need_a, need_b) = ctx.saved_tensors, ctx.needs_input_grad
        condition = condition if condition.dtype == bool_ else condition != 0
        ga = kept(condition, g) if need_a else None
        return None, ga, dropped(condition, g) if need_b else None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.random((n, n)) < 0.5, rng.standard_normal((n, n)), rng.standard_normal(n)
        yield rng.random((n, 1)) < 0.5, 1.5, rng.standard_normal((n, n)).T


class Maximum(Binary):
    """y = max(a, b).   g goes to the larger one, half to each where they are equal."""

    @staticmethod
    def forward(a: Array, b: Array) -> Array:
        return namespace(a, b).maximum(a, b)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        a, b = ctx.saved_tensors
        share = Where.apply(ops.eq(a, b), g * 0.5, g)
        return dropped(ops.lt(a, b), share), dropped(ops.gt(a, b), share)


class Minimum(Maximum):
    """y = min(a, b).   g goes to the smaller one, half to each where they are equal."""

    @staticmethod
    def forward(a: Array, b: Array) -> Array:
        return namespace(a, b).minimum(a, b)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        a, b = ctx.saved_tensors
        share = Where.apply(ops.eq(a, b), g * 0.5, g)
        return dropped(ops.gt(a, b), share), dropped(ops.lt(a, b), share)


class Clamp(Function):
    """y = min(max(x, low), high).   g goes to x within the bounds and on them, else to the bound.

    Where low > high, y is high.
    """

    promotion = promotion.bounded
    broadcasts = True

    @staticmethod
    def forward(x: Array, low: Any, high: Any) -> Array:
        if x.dtype.kind == "b" and low is not None and high is not None:
            raise NotImplementedError("clamp between two bools is not implemented.")
        y = x if low is None else namespace(x, low).maximum(x, low)
        return y if high is None else namespace(y, high).minimum(y, high)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x, low, high), (need_x, need_low, need_high) = ctx.saved_tensors, ctx.needs_input_grad
        gx = g_low = g_high = None
        if need_x:
            gx = g if low is None else kept(ops.ge(x, low), g)
            gx = gx if high is None else kept(ops.le(x, high), gx)
        if need_low:
            g_low = kept(ops.lt(x, low), g)
            g_low = g_low if high is None else kept(ops.lt(low, high), g_low)
        if need_high:
            g_high = kept(ops.gt(x, high), g)
            g_high = g_high if low is None else Where.apply(ops.gt(low, high), g, g_high)
        return gx, g_low, g_high

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        x = rng.standard_normal((n, n))
        yield x, -0.5, 0.5
        yield x.T, None, 0.5
        yield x[0, 0, ...], -0.5, None
        yield x, rng.uniform(-2.0, 0.0, n), rng.uniform(0.5, 2.0, (n, 1))
        yield x, rng.uniform(0.5, 2.0, n), rng.uniform(-2.0, 0.0, (n, 1))
        yield x, rng.uniform(-2.0, 0.0, n), None
        yield x, None, rng.uniform(-2.0, 0.0, n)


class MaskedFill(Function):
    """y = value where the mask holds, else x.   ∂L/∂x = g elsewhere, ∂L/∂value = Σ g there."""

    contiguous = True

    @staticmethod
    def forward(x: Array, mask: Array, value: Any) -> Array:
        value = as_array(value).astype(x.dtype) if is_array(value) else x.dtype.type(value)
        return namespace(x, mask).where(mask, value, x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (mask,), (need_x, _, need_value) = ctx.saved_tensors, ctx.needs_input_grad
        gx = dropped(mask, g) if need_x else None
        return gx, None, kept(mask, g) if need_value else None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), rng.random((n, n)) < 0.5, -1.0
        yield rng.standard_normal((n, n)).T, rng.random(n) < 0.5, rng.standard_normal(())


def kept(condition: Any, g: Any) -> Any:
    """g where the condition holds, else 0.

    Of arrays, which nothing records: as whole numbers times 0 or 1, which know no 0 · ∞ = NaN.
    numpy.where takes 15 times as long on a random condition, for the processor mispredicts it.
    """
    if isinstance(g, Tensor):
        return Where.apply(condition, g, 0.0)
    return (g.view(BITS[g.dtype]) * condition).view(g.dtype)


def dropped(condition: Any, g: Any) -> Any:
    """g where the condition does not hold, else 0."""
    return kept(~condition, g)


BITS = {float16: int16, float32: int32, float64: int64}  # whole numbers of the same size


def flat(g: X) -> X:
    """Zeros shaped like g: the gradient where a function is constant, whatever g is."""
    array = g.array if isinstance(g, Tensor) else g
    zeros = namespace(array).zeros(array.shape, array.dtype)
    return wrap(zeros) if isinstance(g, Tensor) else zeros


def where(condition: Tensor | Array, input: Any = ..., other: Any = ...) -> Any:
    """input where the condition holds, else other. Alone, where(c) is nonzero(c, as_tuple=True).

    Raises: RuntimeError if the condition is neither bool nor uint8, TypeError for wrong kinds.
    """
    promotion.refuse_numbers("where", condition)
    if input is ... and other is ...:
        return ops.nonzero(condition, as_tuple=True)
    if input is ... or other is ...:
        raise TypeError("where() takes a condition alone, or with both input and other.")
    if condition.dtype not in (bool_, uint8):
        raise RuntimeError(
            "where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{condition.dtype}. Compare first: where(x != 0, a, b)."
        )
    if not (hasattr(input, "dtype") and hasattr(other, "dtype")):
        input, other = numbers_in_range(input, other)
    return Where.apply(condition, input, other)


def numbers_in_range(*values: Any) -> list[Any]:
    """Values for `where`. Raises RuntimeError for a number that PyTorch could not store."""
    dtype = promotion.result_type([x.array if isinstance(x, Tensor) else x for x in values])
    if dtype == float16:
        return list(values)  # there, PyTorch lets it become infinite
    return [x if hasattr(x, "dtype") else promotion.fits(x, dtype, "where") for x in values]


@method
def maximum(input: X, other: Tensor | Array) -> X:
    """The larger of two elements; NaN if either is."""
    promotion.refuse_numbers("maximum", input, other)
    return Maximum.apply(input, other)


@method
def minimum(input: X, other: Tensor | Array) -> X:
    """The smaller of two elements; NaN if either is."""
    promotion.refuse_numbers("minimum", input, other)
    return Minimum.apply(input, other)


@method(inplace=True)
def clamp(input: X, min: Any = None, max: Any = None) -> X:
    """Each element, no less than `min` and no more than `max`: two numbers or two Tensors.

    Raises: RuntimeError without any bound or if a number does not fit into the dtype of the result;
    TypeError for a number beside a Tensor with dimensions; NotImplementedError for bools.
    """
    promotion.refuse_numbers("clamp", input)
    if min is None and max is None:
        raise RuntimeError("clamp: At least one of 'min' or 'max' must not be None")
    if not all(b is None or hasattr(b, "dtype") for b in (min, max)):
        min, max = number_bounds(input, min, max)
    return Clamp.apply(input, min, max)


def number_bounds(x: Any, *bounds: Any) -> list[float | None]:
    """Bounds for `clamp` as numbers of the dtype of its result; 0-d constants count as numbers."""
    for b in bounds:
        if hasattr(b, "dtype") and (b.ndim or getattr(b, "requires_grad", False)):
            kinds = " and ".join(type(b).__name__ for b in bounds)
            raise TypeError(
                f"clamp: min and max must be two numbers or two Tensors, not {kinds}. "
                "Make the number a Tensor: tensor(b)."
            )
    numbers = [plain_number(b) for b in bounds]
    if x.dtype.kind == "f":
        dtype = x.dtype
    else:
        dtype = promotion.result_type([x.array if isinstance(x, Tensor) else x, *numbers])
    if dtype.kind == "b":
        raise NotImplementedError("clamp to bools is not implemented. Convert: x.to(int64).")
    return [b if b is None else promotion.fits(b, dtype, "clamp") for b in numbers]


def plain_number(x: Any) -> Any:
    """The number in a 0-d Tensor; anything else as it is."""
    return x.array.item() if isinstance(x, Tensor) else x


@method(inplace=True)
def clip(input: X, min: Any = None, max: Any = None) -> X:
    """The same as `clamp`."""
    return clamp(input, min, max)


@method(inplace=True)
def masked_fill(input: X, mask: Tensor | Array, value: Any) -> X:
    """`value`, a number or a 0-d Tensor, where the mask holds, else the element of input.

    Raises: RuntimeError if the mask is not bool, or the value is no number of input's dtype.
    """
    promotion.refuse_numbers("masked_fill", input, mask)
    if not hasattr(value, "dtype"):
        promotion.number(value)  # raises TypeError if it is none
    if mask.dtype != bool_:
        raise RuntimeError(
            f"masked_fill_ only supports boolean masks, but got mask with dtype {mask.dtype}. "
            "Compare first: mask != 0."
        )
    if hasattr(value, "dtype") and value.ndim:
        raise RuntimeError(
            "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s). Use where(mask, value, input)."
        )
    if getattr(value, "requires_grad", False) and input.dtype.kind != "f":
        raise RuntimeError(f"masked_fill: a value that requires a gradient, but {input.dtype}.")
    number = promotion.fits(plain_number(value), input.dtype, "masked_fill")
    if not getattr(value, "requires_grad", False):
        value = number
    return MaskedFill.apply(input, mask, value)
