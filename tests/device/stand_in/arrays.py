"""CuPy's array over host memory, how one is read out of operands, and how it is indexed."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from tests.device.stand_in import host_reads
from tests.device.stand_in.cuda import Device, MemoryPointer, UnownedMemory


def raw(value: Any) -> Any:
    """What NumPy computes with; NumPy arrays are refused, as CuPy refuses them."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, (list, tuple)):
        return type(value)(raw(v) for v in value)
    return value


def shown(value: Any) -> Any:
    """What a test sees of our arrays: their memory."""
    if isinstance(value, (list, tuple)):
        return type(value)(shown(v) for v in value)
    return value._host if isinstance(value, ndarray) else value


def operand(value: Any) -> Any:
    """As `raw`, for ufuncs: arrays and numbers only."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, (bool, int, float, complex, np.generic)):
        return value
    raise TypeError(f"Unsupported type {type(value)}")


def held(value: Any) -> Any:
    """An array of ours over what NumPy returned; scalars become 0-d arrays."""
    if isinstance(value, (np.ndarray, np.generic)):
        return of(np.asarray(value))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(held, value))
    if isinstance(value, (list, tuple)):
        return type(value)(held(v) for v in value)
    return value


def of(host: np.ndarray) -> ndarray:
    """An array of ours over this very memory."""
    if host.dtype.kind not in "biufc":
        raise ValueError(f"Unsupported dtype {host.dtype}")
    new = object.__new__(ndarray)
    new._host = host
    return new


class Flags:
    def __init__(self, host: np.ndarray) -> None:
        self.c_contiguous = host.flags.c_contiguous
        self.f_contiguous = host.flags.f_contiguous
        self.owndata = host.base is None
        self.fnc = host.flags.fnc


class ndarray:  # noqa: N801 - CuPy's name
    """CuPy's array as far as offers.json goes, over host memory."""

    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]
    _host: np.ndarray

    def __init__(
        self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order="C"
    ) -> None:
        if memptr is None:
            self._host = np.empty(shape, dtype, order=order)
            return
        dtype = np.dtype(dtype)
        plain = np.empty(shape, np.bool_).strides
        steps = tuple(s * dtype.itemsize for s in plain) if strides is None else strides
        size = dtype.itemsize + sum(s * (n - 1) for s, n in zip(steps, shape, strict=True) if n)
        buffer = (ctypes.c_char * max(size, 0)).from_address(memptr.ptr)
        buffer._owner = memptr.mem  # type: ignore[attr-defined]
        self._host = np.ndarray(shape, dtype, buffer, 0, steps)

    # what it is
    T = property(lambda self: of(self._host.T))
    mT = property(lambda self: of(self._host.mT))  # noqa: N815 - its name
    real = property(lambda self: of(self._host.real))
    imag = property(lambda self: of(self._host.imag))
    dtype = property(lambda self: self._host.dtype)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: Flags(self._host))
    device = property(lambda self: Device(0))

    @property
    def shape(self) -> tuple[int, ...]:
        return self._host.shape

    @shape.setter
    def shape(self, new: Any) -> None:
        self._host.shape = new

    @property
    def base(self) -> Any:
        base = self._host.base
        return of(base) if isinstance(base, np.ndarray) else base

    @property
    def data(self) -> MemoryPointer:
        return MemoryPointer(UnownedMemory(self._host.ctypes.data, self.nbytes, self._host), 0)

    # reads of the host
    def __bool__(self) -> bool:
        host_reads.host_read("bool(x)")
        return bool(self._host)

    def __int__(self) -> int:
        host_reads.host_read("int(x)")
        return int(self._host)

    def __float__(self) -> float:
        host_reads.host_read("float(x)")
        return float(self._host)

    def __complex__(self) -> complex:
        host_reads.host_read("complex(x)")
        return complex(self._host)

    def item(self) -> Any:
        host_reads.host_read("x.item()")
        return self._host.item()

    def tolist(self) -> Any:
        host_reads.host_read("x.tolist()")
        return self._host.tolist()

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True):
        host_reads.host_read("x.get()")
        if out is not None:
            out[...] = self._host
            return out
        return np.array(self._host, order=order)

    def __array__(self, *args: Any, **options: Any) -> np.ndarray:
        if host_reads.test_may_look and not host_reads.called_by_package():
            return np.array(self._host, *args[:1])
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __repr__(self) -> str:
        return f"stand-in {self._host!r}"

    def __reduce__(self) -> Any:
        return of, (np.array(self._host),)

    def __deepcopy__(self, memo: Any) -> ndarray:
        return of(self._host.copy())

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0

    def __dlpack__(self, **options: Any) -> Any:
        return self._host.__dlpack__()

    # pieces
    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Any:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> ndarray:
        return held(self._host[wrapped(index, self._host)])

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, np.ndarray) and value.ndim:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        value = operand(value.item() if isinstance(value, np.ndarray) else value)
        if isinstance(value, np.ndarray):  # CuPy drops all leading dimensions of size 1
            while value.ndim and value.shape[0] == 1:
                value = value[0]
        with np.errstate(all="ignore"):
            self._host[wrapped(index, self._host)] = value

    def set(self, arr: Any, stream: Any = None) -> None:
        if not isinstance(arr, np.ndarray) or arr.dtype != self.dtype or arr.shape != self.shape:
            raise TypeError(f"set: an array of {self.dtype} and shape {self.shape} is needed")
        self._host[...] = arr

    def fill(self, value: Any) -> None:
        if isinstance(value, np.ndarray) and value.ndim:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        self._host.fill(value._host.item() if isinstance(value, ndarray) else value)

    # other forms
    def astype(self, dtype, order="K", casting=None, subok=None, copy=True) -> ndarray:
        if not copy and self.dtype == dtype:
            return self
        with np.errstate(all="ignore"):
            return of(self._host.astype(dtype, order=order, copy=copy))

    def view(self, dtype: Any = None, type: Any = None) -> ndarray:
        return of(self._host.view() if dtype is None else self._host.view(dtype))

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> ndarray:
        """A view that can be written to, unlike NumPy's."""
        view = self._host.diagonal(offset, axis1, axis2)
        view.flags.writeable = self._host.flags.writeable
        return of(view)

    def round(self, decimals: int = 0, out: Any = None) -> ndarray:
        return held(self._host.round(decimals, out))

    # other operators: ufuncs.py sets them; other methods: functions.py
    def __matmul__(self, other: Any) -> Any:
        return held(self._host @ operand(other))

    def __rmatmul__(self, other: Any) -> Any:
        return held(operand(other) @ self._host)

    def __array_function__(self, function: Any, *rest: Any) -> Any:
        if host_reads.test_may_look and not host_reads.called_by_package():
            args, options = rest[1:]
            return function(*shown(args), **{k: shown(v) for k, v in options.items()})
        raise TypeError(f"numpy.{function.__name__} of a CuPy array: write namespace(x)")


def wrapped(index: Any, host: np.ndarray) -> Any:
    """An index for NumPy; integers in arrays are wrapped into bounds, as CuPy does."""
    parts = list(index) if isinstance(index, tuple) else [index]
    used = sum(dims_of(p) for p in parts)
    axis, found = 0, []
    for part in parts:
        if isinstance(part, np.ndarray):
            raise TypeError("a CuPy array indexed with a NumPy array is copied each time: send it")
        if isinstance(part, list):
            part = of(np.array(part) if part else np.empty(0, np.int32))
        if part is Ellipsis:
            axis += host.ndim - used
        elif isinstance(part, ndarray):
            n = part._host
            if n.dtype.kind == "b":
                axis += n.ndim
            elif n.dtype.kind in "iu":
                size = host.shape[axis] if axis < host.ndim else 1
                n = n % size if size and n.size else n
                axis += 1
            else:
                raise IndexError("arrays used as indices must be of integer or boolean type.")
            part = n
        elif part is not None:
            axis += 1
        found.append(part)
    return tuple(found) if isinstance(index, tuple) else found[0]


def dims_of(part: Any) -> int:
    """How many dimensions one part of an index takes."""
    if part is None or part is Ellipsis:
        return 0
    if isinstance(part, ndarray) and part.dtype.kind == "b":
        return part.ndim
    return 1
