"""Questions about numbers. The answers are bools, and carry no gradient."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.autograd import promotion
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import Tensor, X, wrap
from tinygrad_mmb.backend import Array, as_array, get_default_dtype, namespace
from tinygrad_mmb.backend.layout import led_by_operands
from tinygrad_mmb.ops.dimensions import require_bool
from tinygrad_mmb.ops.elementwise import Operand

__all__ = [
    "allclose",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "eq",
    "equal",
    "ge",
    "greater",
    "greater_equal",
    "gt",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lt",
    "ne",
    "not_equal",
]


def constant(name: str, arrays: list[Any], *operands: Any) -> Any:
    """NumPy's function `name` of the arrays; a Tensor without a past if an operand is a Tensor.

    Raises: RuntimeError if the shapes do not broadcast.
    """
    try:
        y = led_by_operands(as_array(getattr(namespace(*arrays), name)(*arrays)), arrays)
    except ValueError:
        promotion.refuse_shapes(name, arrays)
        raise
    return wrap(y) if any(isinstance(x, Tensor) for x in operands) else y


def plain(x: Any) -> Any:
    """What numpy computes with: the array in a Tensor."""
    return x.array if isinstance(x, Tensor) else x


def compared(name: str, input: Any, other: Any) -> Any:
    """A comparison in the dtype that the operands meet in."""
    if not hasattr(input, "dtype"):
        promotion.refuse_numbers(name, input)
    return constant(name, promotion.common([plain(input), plain(other)]), input, other)


def asked(name: str, x: Any) -> Any:
    """A question about one Tensor."""
    promotion.refuse_numbers(name, x)
    return constant(name, [plain(x)], x)


def logical(name: str, input: Any, other: Any) -> Any:
    """A question about two Tensors as truth values: everything but 0 is true, NaN too."""
    promotion.refuse_numbers(name, input, other)
    return constant(name, [plain(input), plain(other)], input, other)


def bitwise(name: str, *operands: Any) -> Any:
    """An operation on the bits of integers, or on bools.

    Raises: NotImplementedError for floats.
    """
    arrays = promotion.meet([plain(x) for x in operands])
    dtype = promotion.result_type(arrays)
    if dtype.kind == "f":
        raise NotImplementedError(
            f"{name} is not implemented for {dtype}, only for ints and bools."
        )
    return constant(name, arrays, *operands)


@method(inplace=True)
def eq(input: X, other: Operand) -> X:
    """input == other, element by element."""
    return compared("equal", input, other)


@method(inplace=True)
def ne(input: X, other: Operand) -> X:
    """input != other, element by element."""
    return compared("not_equal", input, other)


@method(inplace=True)
def lt(input: X, other: Operand) -> X:
    """input < other, element by element."""
    return compared("less", input, other)


@method(inplace=True)
def le(input: X, other: Operand) -> X:
    """input <= other, element by element."""
    return compared("less_equal", input, other)


@method(inplace=True)
def gt(input: X, other: Operand) -> X:
    """input > other, element by element."""
    return compared("greater", input, other)


@method(inplace=True)
def ge(input: X, other: Operand) -> X:
    """input >= other, element by element."""
    return compared("greater_equal", input, other)


@method(inplace=True)
def not_equal(input: X, other: Operand) -> X:
    """The same as `ne`."""
    return ne(input, other)


@method(inplace=True)
def less(input: X, other: Operand) -> X:
    """The same as `lt`."""
    return lt(input, other)


@method(inplace=True)
def less_equal(input: X, other: Operand) -> X:
    """The same as `le`."""
    return le(input, other)


@method(inplace=True)
def greater(input: X, other: Operand) -> X:
    """The same as `gt`."""
    return gt(input, other)


@method(inplace=True)
def greater_equal(input: X, other: Operand) -> X:
    """The same as `ge`."""
    return ge(input, other)


@method
def isnan(input: X) -> X:
    """Whether each element is NaN."""
    return asked("isnan", input)


@method
def isinf(input: X) -> X:
    """Whether each element is ∞ or -∞."""
    return asked("isinf", input)


@method
def isfinite(input: X) -> X:
    """Whether each element is neither infinite nor NaN."""
    return asked("isfinite", input)


@method(inplace=True)
def logical_not(input: X) -> X:
    """Whether each element is 0."""
    return asked("logical_not", input)


@method(inplace=True)
def logical_and(input: X, other: Tensor | Array) -> X:
    """Whether neither element is 0."""
    return logical("logical_and", input, other)


@method(inplace=True)
def logical_or(input: X, other: Tensor | Array) -> X:
    """Whether not both elements are 0."""
    return logical("logical_or", input, other)


@method(inplace=True)
def logical_xor(input: X, other: Tensor | Array) -> X:
    """Whether exactly one element is 0."""
    return logical("logical_xor", input, other)


@method(inplace=True)
def bitwise_and(input: X, other: Operand) -> X:
    """input & other of integers, bit by bit, or of bools."""
    return bitwise("bitwise_and", input, other)


@method(inplace=True)
def bitwise_or(input: X, other: Operand) -> X:
    """input | other of integers, bit by bit, or of bools."""
    return bitwise("bitwise_or", input, other)


@method(inplace=True)
def bitwise_xor(input: X, other: Operand) -> X:
    """input ^ other of integers, bit by bit, or of bools."""
    return bitwise("bitwise_xor", input, other)


@method(inplace=True)
def bitwise_not(input: X) -> X:
    """~input: every bit of integers turned over, or not input for bools."""
    return bitwise("bitwise_not", input)


@method
def isclose(
    input: X, other: X, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> X:
    """|input - other| <= atol + rtol · |other|; infinities must be equal.

    Raises: RuntimeError if the dtypes differ or a tolerance is negative.
    """
    promotion.refuse_numbers("isclose", input, other)
    a, b = plain(input), plain(other)
    if a.dtype != b.dtype:
        raise RuntimeError(f"isclose: {a.dtype} did not match {b.dtype}. Convert one: x.to(dtype).")
    require_bool("isclose", equal_nan, "equal_nan")
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if not tolerance >= 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {tolerance}")
    xp = namespace(a, b)
    promotion.refuse_shapes("isclose", [a, b])
    close = a == b
    if equal_nan and a.dtype.kind == "f":
        close = close | ((a != a) & (b != b))
    if rtol or atol:
        if a.dtype.kind != "f":
            a, b = a.astype(get_default_dtype()), b.astype(get_default_dtype())
        near = xp.abs(a - b) <= atol + xp.abs(rtol * b)
        close = close | (near & xp.isfinite(a) & xp.isfinite(b))
    close = led_by_operands(as_array(close), [a, b])
    return wrap(close) if isinstance(input, Tensor) or isinstance(other, Tensor) else close


@method
def allclose(
    input: X, other: X, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether `isclose` holds for all elements."""
    return bool(plain(isclose(input, other, rtol, atol, equal_nan)).all())


@method
def equal(input: X, other: X) -> bool:
    """Whether two Tensors have the same shape and the same elements. NaN differs from NaN."""
    promotion.refuse_numbers("equal", input, other)
    a, b = plain(input), plain(other)
    return a.shape == b.shape and bool((a == b).all())
