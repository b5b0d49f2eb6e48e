"""Creation: new tensors from a shape, a range or another tensor's shape."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tinygrad_mmb import backend
from tinygrad_mmb.autograd.promotion import fits, number
from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.backend import Array, DType, as_array, empty_in_layout_of, is_array, namespace
from tinygrad_mmb.ops.views import sizes_of, whole

__all__ = [
    "arange", "as_tensor", "empty", "empty_like", "eye", "from_numpy", "full", "full_like",
    "linspace", "ones", "ones_like", "zeros", "zeros_like",
]  # fmt: skip


def finished(array: Array, device: Any, requires_grad: bool) -> Tensor:
    """The Tensor over a new array, where and as the caller asked for it."""
    if device is None:
        t = wrap(backend.to_default_device(array))
    else:
        t = wrap(backend.to_device(array, device))
    if requires_grad:
        t.requires_grad = True
    return t


def made(make: Callable[[ModuleType], Array], device: Any, requires_grad: bool) -> Tensor:
    """The Tensor over what `make` makes with NumPy or CuPy, on the device that is asked for."""
    t = wrap(backend.made_at(device, make))
    if requires_grad:
        t.requires_grad = True
    return t


def shape_of(size: tuple[Any, ...], name: str) -> tuple[int, ...]:
    """The sizes of f(2, 3) or f((2, 3)), none negative; f() is a 0-d tensor's only as f(())."""
    nested = len(size) == 1 and isinstance(size[0], (tuple, list))
    return listed_shape(size[0] if nested else size, name)


def listed_shape(size: Any, name: str) -> tuple[int, ...]:
    """The sizes in a tuple or list, none negative."""
    shape = sizes_of(size, "size")
    if shape and min(shape) < 0:
        raise RuntimeError(
            f"{name}: trying to create tensor with negative dimension {min(shape)}: {list(shape)}"
        )
    return shape


def float_dtype(dtype: Any) -> DType:
    """The dtype asked for, or the default one."""
    return backend.get_default_dtype() if dtype is None else backend.as_dtype(dtype)


def zeros(
    size: Any, *more: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """All elements 0."""
    shape, wanted = shape_of((size, *more), "zeros"), float_dtype(dtype)
    return made(lambda xp: xp.zeros(shape, wanted), device, requires_grad)


def ones(
    size: Any, *more: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """All elements 1."""
    shape, wanted = shape_of((size, *more), "ones"), float_dtype(dtype)
    return made(lambda xp: xp.ones(shape, wanted), device, requires_grad)


def empty(
    size: Any, *more: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Elements with whatever value is in memory."""
    shape, wanted = shape_of((size, *more), "empty"), float_dtype(dtype)
    return made(lambda xp: xp.empty(shape, wanted), device, requires_grad)


def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """All elements `fill_value`, whose kind gives the dtype: bool, int64 or the default float."""
    shape = listed_shape(size, "full")
    value, wanted = _filling(fill_value, dtype)
    return made(lambda xp: xp.full(shape, value, wanted), device, requires_grad)


def _filling(value: Any, dtype: Any) -> tuple[Any, DType]:
    """What `full` fills with, and the dtype it has."""
    value = number_of(value, "fill_value")
    if dtype is None:
        natural: dict[type, DType] = {bool: backend.bool_, int: backend.int64}
        dtype = natural.get(type(value), backend.get_default_dtype())
    dtype = backend.as_dtype(dtype)
    return fits(value, dtype, "full"), dtype


def number_of(value: Any, name: str) -> Any:
    """A number, or the one in a 0-d Tensor that requires no gradient.

    Raises: TypeError for anything else.
    """
    if isinstance(value, Tensor):
        if value.ndim or value.requires_grad:
            raise TypeError(
                f"argument '{name}' must be Number, not a Tensor of shape {value.shape} with "
                f"requires_grad={value.requires_grad}"
            )
        return value.item()
    return number(value)


def _like(input: Any, name: str, dtype: Any, device: Any) -> tuple[Array, DType, Any]:
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}")
    array = input.array
    wanted = array.dtype if dtype is None else backend.as_dtype(dtype)
    return array, wanted, input.device if device is None else device


def _constant_like(array: Array, value: Any, dtype: DType) -> Array:
    y = empty_in_layout_of(array, dtype)
    y[...] = value
    return y


def zeros_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Zeros in the shape, dtype and layout of `input`."""
    array, wanted, place = _like(input, "zeros_like", dtype, device)
    return finished(_constant_like(array, 0, wanted), place, requires_grad)


def ones_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Ones in the shape, dtype and layout of `input`."""
    array, wanted, place = _like(input, "ones_like", dtype, device)
    return finished(_constant_like(array, 1, wanted), place, requires_grad)


def empty_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Elements with whatever value is in memory, in the shape, dtype and layout of `input`."""
    array, wanted, place = _like(input, "empty_like", dtype, device)
    return finished(empty_in_layout_of(array, wanted), place, requires_grad)


def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`fill_value` in the shape, dtype and layout of `input`."""
    array, wanted, place = _like(input, "full_like", dtype, device)
    value = fits(number_of(fill_value, "fill_value"), wanted, "full_like")
    filled = _constant_like(array, value, wanted)
    return finished(filled, place, requires_grad)


def arange(
    start: Any = ...,
    end: Any = ...,
    step: Any = ...,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... below `end`; arange(n) starts at 0. All ints give int64.

    Raises: RuntimeError if the step is 0 or leads away from `end`.
    """
    if start is ... or end is ...:
        if step is not ... or (start is ... and end is ...):
            raise TypeError("arange() takes (end), (start, end) or (start, end, step)")
        start, end = 0, end if start is ... else start
    step = 1 if step is ... else step
    start, end, step = (number_of(v, "start, end or step") for v in (start, end, step))
    whole = all(isinstance(v, int) for v in (start, end, step))
    if dtype is None:
        dtype = backend.int64 if whole else backend.get_default_dtype()
    dtype = backend.as_dtype(dtype)
    if dtype == backend.int64:  # each of the three is truncated, then counted
        start, end, step, whole = int(start), int(end), int(step), True
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) / step < 0:
        raise RuntimeError(
            f"upper bound and lower bound inconsistent with step sign: {start} to {end} by {step}"
        )
    if dtype.kind == "b":
        raise RuntimeError("\"arange_cpu\" not implemented for 'Bool'")
    n = -((start - end) // step) if whole else math.ceil((end - start) / step)
    if dtype.kind in "iu":  # counted, then truncated
        start, step = int(start), int(step)
    exact = backend.int64 if dtype.kind in "iu" else backend.float64
    values = namespace().arange(n, dtype=exact) * step + start
    return finished(values.astype(dtype), device, requires_grad)


def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` values from start to end, both included, at equal distances."""
    start, end = (number_of(v, "start or end") for v in (start, end))
    steps = whole(steps, "steps")
    if steps < 0:
        raise RuntimeError(f"number of steps must be non-negative, but got {steps}")
    wanted = float_dtype(dtype)
    if wanted.kind == "b":
        raise RuntimeError("\"linspace_cpu\" not implemented for 'Bool'")
    if wanted.kind != "f":
        start, end = int(start), int(end)
    xp = namespace()
    if steps == 1:
        return finished(xp.full(1, start, wanted), device, requires_grad)
    # From both ends towards the middle, so that the last value is `end` exactly.
    step = (end - start) / max(steps - 1, 1)
    i = xp.arange(steps, dtype=backend.float64)
    half = steps // 2
    values = xp.concatenate([start + step * i[:half], end - step * (steps - 1 - i[half:])])
    return finished(values.astype(wanted), device, requires_grad)


def eye(
    n: int,
    m: Any = ...,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones on the diagonal, zeros elsewhere: n rows, m columns (n if not given)."""
    rows = whole(n, "n")
    columns = rows if m is ... else whole(m, "m")
    if rows < 0 or columns < 0:
        raise RuntimeError(f"n must be greater or equal to 0, got {min(rows, columns)}")
    return finished(namespace().eye(rows, columns, dtype=float_dtype(dtype)), device, requires_grad)


def as_tensor(data: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` itself if it is a Tensor of that dtype, else a Tensor that shares memory if it can."""
    if isinstance(data, Tensor):
        moved = data if dtype is None else data.to(dtype)
        return moved if device is None else moved.to(device)
    wanted = None if dtype is None else backend.as_dtype(dtype)
    if is_array(data):
        array = as_array(data) if wanted is None else as_array(data, wanted)
        return finished(array, device, False)
    from tinygrad_mmb.autograd.tensor import tensor

    return tensor(data, dtype=wanted, device=device)


def from_numpy(ndarray: Any) -> Tensor:
    """A Tensor over the memory of a NumPy array: a write to one is seen in the other.

    Raises: TypeError for anything else, and for dtypes a Tensor cannot have.
    """
    if not is_array(ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    return wrap(as_array(ndarray))
