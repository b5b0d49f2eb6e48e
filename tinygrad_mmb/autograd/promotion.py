"""How operands of different dtypes meet: PyTorch's rules, which are not NumPy's.

Tensors with dimensions decide; 0-d Tensors, then Python numbers, count only if they are of a higher
kind (bool < int < float). So float32 · 2.5 is float32, int64 · 2.5 is the default float dtype,
int8 · 300 is int8, and an integer never widens a float. Each function below takes the operands of a
call, arrays and numbers, and hands them on in the dtype that PyTorch computes in.
"""

from __future__ import annotations

from functools import reduce
from itertools import combinations
from typing import Any

from tinygrad_mmb.autograd.half_precision import Precise, finer_scalar
from tinygrad_mmb.backend import (
    DType,
    as_array,
    bool_,
    cast_in_layout,
    device_of,
    float16,
    float32,
    float64,
    get_default_dtype,
    int64,
    is_array,
    promote_types,
    to_device,
)

LARGEST = {float16: 65504.0, float32: 3.4028234663852886e38, float64: 1.7976931348623157e308}


def common(operands: list[Any]) -> list[Any]:
    """All operands in the dtype of the result."""
    return operands if len(operands) == 2 and agree(*operands) else meet(operands)


def floating(operands: list[Any]) -> list[Any]:
    """As `common`, but integers and bools become the default float dtype."""
    x = operands[0]
    if len(operands) == 1:
        if getattr(x, "dtype", bool_).kind == "f":
            return operands
    elif agree(x, operands[1]) and getattr(x, "dtype", float32).kind == "f":
        return operands
    return meet(operands, floating=True)


def kept(operands: list[Any]) -> list[Any]:
    """Each operand in its own dtype: nothing to do but to refuse what is no Tensor."""
    if not hasattr(operands[0], "dtype"):
        raise no_tensor(operands)
    return operands


def floats_only(operands: list[Any]) -> list[Any]:
    """As `kept`, for what PyTorch computes of floats only.

    Raises: NotImplementedError for integers and bools.
    """
    x = operands[0]
    if getattr(x, "dtype", float32).kind != "f":
        raise NotImplementedError(f"not implemented for {x.dtype}. Convert first: x.to(float32).")
    return kept(operands)


def difference(operands: list[Any]) -> list[Any]:
    """As `common`, and no bools: PyTorch would have to choose between xor and -1.

    Raises: RuntimeError if an operand is a bool.
    """
    if not agree(*operands) or getattr(operands[0], "dtype", float32).kind == "b":
        if any(x is True or x is False or getattr(x, "dtype", None) == bool_ for x in operands):
            raise RuntimeError(
                "Subtraction, the `-` operator, with a bool tensor is not supported. Use the `^` "
                "operator or logical_not for masks, or convert first: x.to(float32)."
            )
        return meet(operands)
    return operands


def product(operands: list[Any]) -> list[Any]:
    """As `common`; a number times float16 keeps its digits, only the product is rounded."""
    if agree(*operands):
        return operands
    a, b = meet(operands)
    return [a, Precise(operands[1]) if finer_scalar(a, operands[1]) else b]


def quotient(operands: list[Any]) -> list[Any]:
    """As `floating`; a number that divides float16 keeps its digits."""
    x = operands[0]
    if agree(*operands) and getattr(x, "dtype", float32).kind == "f":
        return operands
    a, b = meet(operands, floating=True)
    return [a, Precise(operands[1]) if finer_scalar(a, operands[1]) else b]


def power(operands: list[Any]) -> list[Any]:
    """As `common`; an exponent must fit into the dtype of the result.

    Raises: RuntimeError if it does not, and for an integer to a negative power.
    """
    if agree(*operands):
        return operands
    a, b = operands
    if hasattr(a, "dtype") and not is_array(b):
        b, dtype = number(b), result_type(operands)
        if dtype.kind in "iu" and b < 0:
            raise RuntimeError(
                f"pow: Integers to negative integer powers are not allowed: {dtype} to {b}. "
                "Convert first: x.to(float32)."
            )
        b = fits(b, dtype, "pow")
    return meet([a, b])


def bounded(operands: list[Any]) -> list[Any]:
    """As `common`, for an array and the bounds on it, of which one may be None."""
    x, *bounds = operands
    plain = getattr(x, "dtype", None) in (float32, float64)
    if plain and all(b is None or is_plain(b) for b in bounds):
        return operands
    met = iter(meet([x for x in operands if x is not None]))
    return [None if x is None else next(met) for x in operands]


def branches(operands: list[Any]) -> list[Any]:
    """A condition, left as it is, and values that meet as in `common`."""
    condition, a, b = operands
    if agree(a, b):
        return operands
    if hasattr(a, "dtype") or hasattr(b, "dtype"):
        return [condition, *meet([a, b])]
    dtype = result_type([a, b])
    there = device_of(condition)
    return [condition, *[to_device(as_array(x, dtype), there) for x in (a, b)]]


def agree(a: Any, b: Any) -> bool:
    """Whether NumPy computes in PyTorch's dtype anyway. Nearly always, so it is asked first."""
    dtype, other = getattr(a, "dtype", None), getattr(b, "dtype", None)
    if dtype is other:
        return dtype is not None
    if other is None:
        return (dtype is float32 or dtype is float64) and is_plain(b)
    return dtype is None and (other is float32 or other is float64) and is_plain(a)


def is_plain(x: Any) -> bool:
    """Whether this is a Python number of the range that PyTorch takes."""
    return type(x) is float or (type(x) is int and -(2**63) <= x < 2**63)


def meet(operands: list[Any], floating: bool = False) -> list[Any]:
    """All operands in the dtype of the result: the long way."""
    if not any(hasattr(x, "dtype") for x in operands):
        raise no_tensor(operands)
    dtype = result_type(operands)
    if floating and dtype.kind != "f":
        dtype = get_default_dtype()
    return [cast(x, dtype) for x in operands]


def no_tensor(operands: list[Any]) -> TypeError:
    """What to raise when no operand is a Tensor."""
    kinds = " and ".join(type(x).__name__ for x in operands)
    return TypeError(f"expected a Tensor, but got {kinds}. Make one: tensor(x).")


def refuse_numbers(name: str, *operands: Any) -> None:
    """Where PyTorch takes Tensors only.

    Raises: TypeError for a number or anything else that is no Tensor.
    """
    for i, x in enumerate(operands):
        if not hasattr(x, "dtype"):
            raise TypeError(
                f"{name}(): argument {i + 1} must be Tensor, not {type(x).__name__}. "
                "Make it one: tensor(x)."
            )


def cast(x: Any, dtype: DType) -> Any:
    """An array in this dtype; a number as a Python number of its kind and range."""
    if is_array(x):
        return x if x.dtype == dtype else cast_in_layout(x, dtype)
    value = number(x)
    if dtype.kind == "f":
        return float(value)
    if dtype.kind == "b":
        return bool(value)
    if value >= 2**63:
        raise OverflowError(f"{value} does not fit in int64, the largest integer dtype there is.")
    return as_array(int(value), int64).astype(dtype).item()  # wraps: uint8(300) is 44, as in C


def number(x: Any) -> bool | int | float:
    """A Python number from a number of whatever library.

    Raises: TypeError for what is none, OverflowError for an integer of more than 64 bits.
    """
    if hasattr(x, "dtype") and hasattr(x, "item") and not is_array(x):
        x = x.item()  # numpy.float32(2) is as weak as 2.0
    if isinstance(x, (bool, float)):
        return x
    if isinstance(x, int):
        if not -(2**63) <= x < 2**64:
            raise OverflowError(f"the integer {x} does not fit in 64 bits. Make it a float first.")
        return int(x)
    if isinstance(x, complex):
        raise NotImplementedError(f"the complex number {x}: there are no complex Tensors here.")
    raise TypeError(
        f"expected a Tensor or a number as operand, but got {type(x).__name__}."
        + (" Does the function that made it end with `return`?" if x is None else "")
        + (" Make it a Tensor: tensor(x)." if isinstance(x, (list, tuple)) else "")
    )


def result_type(operands: list[Any]) -> DType:
    """The dtype that these operands meet in; `None` has no say."""
    ranks: list[list[DType]] = [[], [], []]
    for x in operands:
        if is_array(x):
            ranks[0 if x.ndim else 1].append(x.dtype)
        elif x is not None:
            value = number(x)
            kind = bool_ if isinstance(value, bool) else int64
            ranks[2].append(get_default_dtype() if isinstance(value, float) else kind)
    strong, scalar, weak = (reduce(promote, rank) if rank else None for rank in ranks)
    dtype = higher(strong, higher(scalar, weak))
    if dtype is None:
        raise no_tensor(operands)
    return dtype


def higher(strong: DType | None, weak: DType | None) -> DType | None:
    """`strong`, unless `weak` is of a higher kind."""
    if strong is None or weak is None:
        return strong or weak
    if strong.kind == "b" or (weak.kind == "f" and strong.kind != "f"):
        return promote(strong, weak)
    return strong


def promote(a: DType, b: DType) -> DType:
    """Between Tensors of one rank. Unlike in NumPy, an integer never widens a float."""
    if (a.kind == "f") != (b.kind == "f"):
        return a if a.kind == "f" else b
    return promote_types(a, b)


def fits(value: Any, dtype: DType, where: str) -> Any:
    """`value` as a Python number that this dtype can hold; a negative one may wrap into uint8.

    Raises: RuntimeError if it cannot: out of range, or infinite where there are only integers.
    """
    x = number(value)
    if dtype.kind == "b":
        return bool(x)
    if dtype.kind == "f":
        finite = x == x and x not in (float("inf"), float("-inf"))
        if finite and not -LARGEST[dtype] <= x <= LARGEST[dtype]:
            raise RuntimeError(
                f"{where}: value cannot be converted to {dtype} without overflow: {x}."
            )
        return float(x)
    top = 2 ** (8 * dtype.itemsize - (dtype.kind == "i")) - 1
    bottom = -top - 1 if dtype.kind == "i" else -top if isinstance(x, int) else 0
    if not bottom <= x <= top:  # false for NaN too
        raise RuntimeError(f"{where}: value cannot be converted to {dtype} without overflow: {x}.")
    return cast(int(x), dtype)


def refuse_shapes(name: str, arrays: list[Any]) -> None:
    """Raise RuntimeError if the operands of the op `name` do not broadcast.

    Shapes are compared from the right: each pair of sizes must be equal, or one of them 1.
    """
    for a, b in combinations([x.shape for x in arrays if is_array(x)], 2):
        for dim, (m, n) in enumerate(zip(reversed(a), reversed(b), strict=False), start=1):
            if m != n and m != 1 and n != 1:
                raise RuntimeError(
                    f"{name}: The size of tensor a ({m}) must match the size of tensor b ({n}) at "
                    f"non-singleton dimension {max(len(a), len(b)) - dim}. The shapes are {a} and "
                    f"{b}; sizes are compared from the right and must be equal, or one of them 1."
                ) from None
