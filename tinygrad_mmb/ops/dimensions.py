"""Which dimensions a reduction runs over, and the checks of its arguments."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, TypeAlias

from tinygrad_mmb import ops
from tinygrad_mmb.ops.views import dim_of

__all__ = [
    "NOT_GIVEN",
    "Dims",
    "count",
    "dims_of",
    "divisor",
    "require_bool",
    "require_dim",
    "require_tensor",
    "spread",
]

Dims: TypeAlias = tuple[int, ...] | None  # the dimensions a reduction runs over; None: all
NOT_GIVEN = ...  # the default of a `dim` for which None has a meaning of its own, or none


def dims_of(dim: Any, ndim: int) -> Dims:
    """The dimensions a reduction runs over, checked and in order; None stands for all of them.

    Raises: IndexError for a dimension x does not have, RuntimeError for one named twice.
    """
    if dim is None or dim is NOT_GIVEN:
        return None
    if not isinstance(dim, (tuple, list)):
        found: tuple[int, ...] = (dim_of(whole(dim), ndim),)
    else:
        found = tuple(sorted([dim_of(whole(d), ndim) for d in dim]))
        for before, after in pairwise(found):
            if before == after:
                raise RuntimeError(
                    f"dim {after} appears multiple times in the list of dims {tuple(dim)}. "
                    "Name each dimension once."
                )
    return found if found and ndim else None


def whole(dim: Any) -> Any:
    """A dimension that came as NumPy's or our own integer, as an int; anything else as it is."""
    if isinstance(dim, int) or getattr(getattr(dim, "dtype", None), "kind", "") not in ("i", "u"):
        return dim
    return int(dim)


def spread(value: Any, shape: tuple[int, ...], dims: Dims) -> Any:
    """A reduced value with its dimensions back, as size 1."""
    if dims is None:
        return ops.reshape(value, (1,) * len(shape))
    return ops.reshape(value, tuple([1 if i in dims else n for i, n in enumerate(shape)]))


def divisor(shape: tuple[int, ...], dims: Dims) -> float:
    """How many numbers a reduction brings together; a float, so that dividing by 0 gives NaN."""
    return float(count(shape, dims))


def count(shape: tuple[int, ...], dims: Dims) -> int:
    """How many numbers a reduction brings together."""
    return math.prod(shape if dims is None else [shape[d] for d in dims])


def require_bool(name: str, keepdim: Any, label: str = "keepdim") -> None:
    """Raise TypeError unless a flag is True or False."""
    if keepdim is not False and keepdim is not True:
        raise TypeError(f"{name}(): argument '{label}' must be bool, not {type(keepdim).__name__}.")


def require_tensor(
    name: str, x: Any, label: str = "input", error: type[Exception] = TypeError
) -> None:
    """Raise `error` unless x is a Tensor or an array (or a scalar that NumPy made of one)."""
    if not hasattr(x, "dtype"):
        hint = "Make it one first: tensor(data)."
        if x is None:
            hint = "Does the function that made it, a forward() perhaps, end with `return`?"
        raise error(f"{name}(): argument '{label}' must be Tensor, not {type(x).__name__}. {hint}")


def require_dim(name: str, dim: Any, keepdim: Any) -> None:
    """Raise TypeError for keepdim without dim (PyTorch: some reductions take it, most do not)."""
    require_bool(name, keepdim)
    if dim is NOT_GIVEN and keepdim:
        raise TypeError(f"{name}(): keepdim needs dim. Name the dimensions to reduce, as in dim=0.")
