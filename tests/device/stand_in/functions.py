"""Functions and methods that are no ufuncs: NumPy's with CuPy's arguments, or CuPy's own way."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from tests.device.stand_in import host_reads
from tests.device.stand_in.arrays import held, ndarray, of, raw
from tests.device.stand_in.offers import OFFERS, check

ARRAY_FIRST = {"a", "x", "x1", "arr", "ar", "ary", "m", "array", "condition", "indices",
               "prototype"}  # fmt: skip
ANSWERS_HOST = {"may_share_memory", "result_type", "can_cast", "promote_types", "issubdtype",
                "broadcast_shapes", "ndim", "shape", "size", "isscalar"}  # fmt: skip


def function(name: str, known: list[str] | None, run: Any) -> Any:
    """cupy.<name>: NumPy's, with CuPy's arguments only."""

    def call(*args: Any, **options: Any) -> Any:
        check(name, known, args, options)
        if known and args and known[0] in ARRAY_FIRST and not isinstance(args[0], ndarray):
            raise AttributeError(f"cupy.{name}: {type(args[0]).__name__} is no cupy.ndarray")
        with np.errstate(all="ignore"):
            y = run(*raw(args), **{k: raw(v) for k, v in options.items()})
        return y if name in ANSWERS_HOST else held(y)

    call.__name__ = name
    return call


def method(name: str, known: list[str] | None) -> Any:
    """ndarray.<name>: NumPy's, with CuPy's arguments only."""

    def call(self: ndarray, *args: Any, **options: Any) -> Any:
        check(f"ndarray.{name}", known, args, options)
        out = options.get("out")
        with np.errstate(all="ignore"):
            y = getattr(self._host, name)(*raw(args), **{k: raw(v) for k, v in options.items()})
        if out is not None:
            return out
        if isinstance(y, np.ndarray) and y is self._host:
            return self
        return held(y)

    call.__name__ = name
    return call


def check_sort(kind: Any) -> None:
    if kind not in (None, "stable"):
        raise ValueError(f"kind can only be None or 'stable', but got {kind!r}")


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    """A copy on the device."""
    host = obj._host if isinstance(obj, ndarray) else obj
    if not copy and isinstance(obj, ndarray) and (dtype is None or obj.dtype == dtype):
        return obj
    return of(np.array(inner(host), dtype, order=order, ndmin=ndmin))


def inner(value: Any) -> Any:
    """Nested lists with our arrays in them, as NumPy can take them."""
    if isinstance(value, ndarray):
        return value._host
    return [inner(v) for v in value] if isinstance(value, (list, tuple)) else value


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    """The array itself if it lies on the device, else a copy there."""
    if isinstance(a, ndarray) and (dtype is None or a.dtype == dtype):
        return a
    return array(a, dtype, order=order or "K")


def ascontiguousarray(a, dtype=None, *, copy=None, blocking=False):
    """In rows; at least one dimension, as in NumPy."""
    if isinstance(a, ndarray) and a.ndim and a.flags.c_contiguous and dtype in (None, a.dtype):
        return a
    return of(np.ascontiguousarray(a._host if isinstance(a, ndarray) else a, dtype).copy())


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def argsort(a, axis=-1, kind=None):
    check_sort(kind)
    return of(np.argsort(a._host, axis, kind="stable"))


def sort(a, axis=-1, kind=None):
    check_sort(kind)
    return of(np.sort(a._host, axis, kind="stable"))


def sort_in_place(self, axis=-1, kind=None):
    check_sort(kind)
    self._host.sort(axis, kind="stable")


def take(a, indices, axis=None, out=None):
    """Indices out of bounds are wrapped, as in CuPy."""
    where = indices._host if isinstance(indices, ndarray) else np.asarray(indices, np.int64)
    return held(np.take(a._host, where, axis, raw(out), mode="wrap"))


def take_along_axis(a, indices, axis):
    """Indices out of bounds are wrapped, as in CuPy."""
    if indices.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    n = a.size if axis is None else a.shape[axis]
    return of(np.take_along_axis(a._host, indices._host % max(n, 1), axis))


def shares_memory(a, b, max_work=None):
    host_reads.host_read("shares_memory")
    return np.shares_memory(raw(a), raw(b))


def inv(a):
    """As cuSOLVER without error checks: what is singular gives NaN, silently."""
    out = np.full(a.shape, np.nan, a.dtype)
    for i in np.ndindex(a.shape[:-2]):
        with contextlib.suppress(np.linalg.LinAlgError):
            out[i] = np.linalg.inv(a._host[i])
    return of(out)


def from_dlpack(source, *, device=None, copy=None):
    if not isinstance(source, ndarray):
        raise TypeError("CPU arrays cannot be directly imported to CuPy")
    return of(source._host.view())


def truth(run: Any) -> Any:
    """Functions that answer a bool in NumPy and a 0-d array in CuPy."""
    return lambda *args, **options: np.bool_(run(*args, **options))


OWN = {
    "array": array, "asarray": asarray, "asanyarray": asarray, "asnumpy": asnumpy,
    "ascontiguousarray": ascontiguousarray, "argsort": argsort, "sort": sort, "take": take,
    "take_along_axis": take_along_axis, "shares_memory": shares_memory, "from_dlpack": from_dlpack,
}  # fmt: skip
OWN_METHODS = {"argsort": argsort, "sort": sort_in_place, "take": take}
TRUTHS = ("allclose", "array_equal", "array_equiv")


def methods() -> None:
    """Give ndarray the methods of NumPy's that CuPy has, too."""
    for name, known in OFFERS["methods"].items():
        if name not in vars(ndarray) and hasattr(np.ndarray, name):
            setattr(ndarray, name, OWN_METHODS.get(name) or method(name, known))


methods()
