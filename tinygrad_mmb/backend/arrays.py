"""NumPy and CuPy behind one face. CuPy is imported when a Tensor is first sent to a GPU."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from tinygrad_mmb.backend.unfit import unfit

Array: TypeAlias = np.ndarray  # for the type checker; a cupy.ndarray quacks alike
DType: TypeAlias = np.dtype

float16, float32, float64 = np.dtype("float16"), np.dtype("float32"), np.dtype("float64")
int8, int16 = np.dtype("int8"), np.dtype("int16")
int32, int64 = np.dtype("int32"), np.dtype("int64")
uint8, bool_ = np.dtype("uint8"), np.dtype("bool")
DTYPES = (float16, float32, float64, int8, int16, int32, int64, uint8, bool_)


class Recorded:
    """What stands for a NumPy array while a step is captured: it notes what is done with it.

    isinstance(x, numpy.ndarray) holds for it too; type(x) tells them apart.
    """

    __slots__ = ()
    namespace: Any  # stands for NumPy


promote_types = np.promote_types
_default_dtype = float32


def get_default_dtype() -> DType:
    """The dtype of Tensors made from Python floats: float32, unless `set_default_dtype` said so."""
    return _default_dtype


def set_default_dtype(dtype: DType) -> None:
    """Make `dtype` the dtype of Tensors made from Python floats, and of new parameters.

    Raises: TypeError unless it is float16, float32 or float64.
    """
    global _default_dtype
    dtype = as_dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(
            f"set_default_dtype: only floating-point types can be the default, but got {dtype}"
        )
    _default_dtype = dtype


def as_dtype(dtype: Any) -> DType:
    """One of our dtypes from whatever NumPy calls a dtype.

    Raises: TypeError for a dtype that Tensors do not have (complex, object, text, uint16, ...).
    """
    found = np.dtype(dtype)
    if found not in DTYPES:
        names = ", ".join(str(d) for d in DTYPES)
        raise TypeError(f"a Tensor cannot hold {found}; the dtypes there are: {names}")
    return found


def is_array(value: Any) -> bool:
    """Whether this is a NumPy or CuPy array (a NumPy scalar is not)."""
    return isinstance(value, np.ndarray) or _is_cupy(value)


def is_floating(value: Any) -> bool:
    """Whether an array, Tensor or dtype holds floating-point numbers."""
    return getattr(value, "dtype", value).kind == "f"


def cupy() -> ModuleType:
    """CuPy, imported now if it was not yet. It takes seconds, and memory of the GPU.

    Raises: RuntimeError if this Python has none, or one that cannot be loaded.
    """
    try:
        import cupy as library
    except ImportError as error:
        if getattr(error, "name", "cupy") != "cupy":
            raise RuntimeError(f"CuPy is installed, but cannot be imported: {error}") from error
        raise RuntimeError(
            "this Python has no CuPy, so there is no CUDA device. Stay on device='cpu', or, on a "
            "machine with an NVIDIA GPU, install CuPy for its CUDA version."
        ) from None
    return library


def _is_cupy(value: Any) -> bool:
    library = sys.modules.get("cupy")  # no CuPy array can be there before the import
    return library is not None and isinstance(value, library.ndarray)


def on_device(value: Any) -> bool:
    """Whether an array among these arguments, and the lists among them, is a CuPy array."""
    if "cupy" not in sys.modules:
        return False
    if isinstance(value, (list, tuple)):
        return any(on_device(v) for v in value)
    return _is_cupy(value)


def waits(value: Any) -> bool:
    """Whether reading a number of this array or Tensor would wait for a GPU.

    There it is faster to compute both cases than to ask which one it is.
    """
    return on_device(getattr(value, "array", value))


def namespace(*values: Any) -> ModuleType:
    """numpy or cupy: the library whose arrays these are."""
    for value in values:
        if type(value) is not np.ndarray:
            if isinstance(value, Recorded):
                recorded: ModuleType = value.namespace
                return recorded
            if _is_cupy(value):
                return sys.modules["cupy"]
    return np


def as_array(value: Any, dtype: DType | None = None) -> Array:
    """An array of what came: arrays stay where they are, Python floats get the default dtype.

    Raises: TypeError, RuntimeError or ValueError for what is no number, and for ragged lists.
    """
    plain = value is None or isinstance(value, (list, tuple, str))
    if plain or (dtype is None and not hasattr(value, "dtype")):
        try:
            array = np.asarray(value)
        except (TypeError, ValueError) as error:
            raise unfit(value) or error from None
        if array.dtype.kind in "OSU":  # NumPy would make NaN of None, and 1.5 of "1.5"
            raise unfit(value) or TypeError(f"a Tensor cannot hold {array.dtype}")
        if dtype is not None:
            return np.asarray(value, dtype)
        if array.dtype == float64:
            array = array.astype(_default_dtype)
    else:
        array = namespace(value).asarray(value, dtype=dtype)
    if array.dtype not in DTYPES:
        as_dtype(array.dtype)  # raises, with the list of dtypes there are
    return array


def to_numpy(array: Array) -> np.ndarray:
    """The same numbers on the host."""
    return array if isinstance(array, np.ndarray) else array.get()


def expanded(array: Array, shape: tuple[int, ...]) -> Array:
    """`array` broadcast to `shape` without copying. For what is known to fit."""
    if type(array) is np.ndarray and array.size == 1:
        # numpy.broadcast_to costs 2.9 µs, this constructor 0.4: the gradient of every sum comes by
        return np.ndarray(shape, array.dtype, array, 0, (0,) * len(shape))
    return namespace(array).broadcast_to(array, shape)


def largest(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """The largest x over some dimensions; NaN is larger than every number."""
    if type(x) is np.ndarray:
        reduce: Any = np.maximum.reduce  # costs half of x.max()
        return reduce(x, axis, keepdims=keepdims)
    return x.max(axis, keepdims=keepdims)


def smallest(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """The smallest x over some dimensions; NaN is smaller than every number."""
    if type(x) is np.ndarray:
        reduce: Any = np.minimum.reduce
        return reduce(x, axis, keepdims=keepdims)
    return x.min(axis, keepdims=keepdims)


def share_memory(a: Array, b: Array) -> bool:
    """Whether a write to `a` may be seen in `b`."""
    if _is_cupy(a) is not _is_cupy(b):
        return False  # one on the CPU, one on a GPU
    return bool(namespace(a, b).may_share_memory(a, b))
