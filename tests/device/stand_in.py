"""A CuPy without a GPU, stricter than the real one: the engine's suite runs on it.

`install()` registers a module that calls itself cupy. Its ndarray is no numpy.ndarray; it holds one
and hands out nothing of it but what CuPy offers, by the names and arguments in offers.json, which
list_cupy.py writes from the installed CuPy. As CuPy does, it

- answers with 0-d arrays, never with NumPy scalars;
- refuses NumPy arrays among its operands, and np.asarray of itself;
- knows no `where=` and no `initial=`; reduces ufuncs for add and multiply only;
- adds at indices in the dtypes that have an atomic addition on a GPU;
- wraps indices that are out of bounds, where NumPy raises;
- lays results of elementwise functions in rows.

What CuPy allows at the price of waiting for the GPU (float(x), bool(x), x.item(), ...) is counted,
and inside a forward, backward or update it is refused but for the places in READS_OF_THE_HOST.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.machinery
import json
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

OFFERS = json.loads(Path(__file__).with_name("offers.json").read_text(encoding="utf-8"))
PACKAGE = str(Path(__file__).resolve().parents[2] / "tinygrad_mmb")
STEP = ("forward", "backward", "update")
ENGINE = tuple(f"{PACKAGE}/{part}/" for part in ("autograd", "backend", "ops", "nn", "optim"))
PARTS = tuple(f"{PACKAGE}/{part}/" for part in ("ops", "nn", "optim"))
ARRAY_FIRST = {"a", "x", "x1", "arr", "ar", "ary", "m", "array", "condition", "indices",
               "prototype"}  # fmt: skip
ANSWERS_HOST = {"may_share_memory", "result_type", "can_cast", "promote_types", "issubdtype",
                "broadcast_shapes", "ndim", "shape", "size", "isscalar"}  # fmt: skip
ATOMIC_ADD = {"int32", "uint32", "uint64", "float16", "float32", "float64"}
ATOMIC_EXTREME = ATOMIC_ADD - {"float16"}

# Where a forward, backward or update may wait for the GPU, and why. docs/gpu.md tells the same.
READS_OF_THE_HOST: dict[tuple[str, str], str] = {
    ("ops/gathering.py", "require_in_bounds"): "an index out of bounds must raise",
    ("ops/indexing.py", "refuse_out_of_bounds"): "an index out of bounds must raise",
    ("ops/cross_entropy.py", "safe_classes"): "a class that is not there must raise",
    ("ops/binary_cross_entropy.py", "binary_cross_entropy"): "what is no probability must raise",
    ("ops/embedding.py", "embedding"): "an index outside the table must raise",
    ("ops/arithmetic.py", "has_zero"): "an integer divided by 0 must raise",
    ("ops/inversion.py", "refuse_singular"): "a singular matrix must raise",
    ("ops/inversion.py", "where_singular"): "the error names the singular matrix",
    ("ops/copying.py", "forward"): "x.cpu() is a copy to the host",
    ("nn/normalization.py", "forward"): "momentum=None divides by the number of batches",
}

reads: Counter[str] = Counter()  # how often each place read the host


class HostReadError(AssertionError):
    """A forward, backward or update that waits for the GPU without a stated reason."""


def host_read(what: str) -> None:
    """Count a read of the host; refuse it inside a step unless the place is listed."""
    frame = sys._getframe(2)
    place, inside = None, None
    while frame is not None:
        path, name = frame.f_code.co_filename, frame.f_code.co_name
        if path.startswith(PACKAGE):
            here = (path[len(PACKAGE) + 1 :], name)
            if place is None:
                place = here
            if here in READS_OF_THE_HOST or not path.startswith(ENGINE):
                break  # listed, or a metric or callback that a hook calls
            if inside is None and name in STEP and path.startswith(PARTS):
                inside = here
        elif place is None:
            return  # a test looks
        frame = frame.f_back
    if place is None:
        return
    reads[f"{place[0]}:{place[1]}"] += 1
    if frame is None and inside is not None:
        raise HostReadError(
            f"{what} in {place[0]}, {place[1]}, inside {inside[0]}, {inside[1]}: on a GPU this "
            "waits for all work before it. Compute it on the device, or list it with its reason."
        )


def called_by_package() -> bool:
    """Whether the nearest frame outside this file and NumPy is the package's."""
    frame = sys._getframe(2)
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(PACKAGE):
            return True
        if path != __file__ and "numpy" not in Path(path).parts:
            return False
        frame = frame.f_back
    return False


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


def check(name: str, known: list[str] | None, args: tuple[Any, ...], options: Any) -> None:
    """Raise TypeError for arguments that CuPy's function of this name does not take."""
    if known is None:
        return
    names = [k for k in known if not k.startswith("*")]
    starred = any(k.startswith("*") and not k.startswith("**") for k in known)
    if not starred and len(args) > len(names):
        raise TypeError(f"cupy: {name}() takes {len(names)} arguments, but {len(args)} were given")
    if not any(k.startswith("**") for k in known):
        for option in options:
            if option not in names:
                raise TypeError(f"cupy: {name}() got an unexpected keyword argument {option!r}")


class Flags:
    def __init__(self, host: np.ndarray) -> None:
        self.c_contiguous = host.flags.c_contiguous
        self.f_contiguous = host.flags.f_contiguous
        self.owndata = host.base is None
        self.fnc = host.flags.fnc


class MemoryPointer:
    """An address, and who owns the memory there."""

    def __init__(self, mem: Any, offset: int) -> None:
        self.mem, self.ptr = mem, mem.ptr + offset
        self.device, self.device_id = Device(0), 0


class UnownedMemory:
    def __init__(self, ptr: int, size: int, owner: Any, device_id: int = -1) -> None:
        self.ptr, self.size, self.owner, self.device_id = ptr, size, owner, device_id


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
        host_read("bool(x)")
        return bool(self._host)

    def __int__(self) -> int:
        host_read("int(x)")
        return int(self._host)

    def __float__(self) -> float:
        host_read("float(x)")
        return float(self._host)

    def __complex__(self) -> complex:
        host_read("complex(x)")
        return complex(self._host)

    def item(self) -> Any:
        host_read("x.item()")
        return self._host.item()

    def tolist(self) -> Any:
        host_read("x.tolist()")
        return self._host.tolist()

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True):
        host_read("x.get()")
        if out is not None:
            out[...] = self._host
            return out
        return np.array(self._host, order=order)

    def __array__(self, *args: Any, **options: Any) -> np.ndarray:
        if test_may_look and not called_by_package():
            return np.array(self._host, *args[:1])
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __repr__(self) -> str:
        return f"stand-in {self._host!r}"

    def __reduce__(self) -> Any:
        return asarray, (np.array(self._host),)

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

    def argsort(self, axis: Any = -1, kind: Any = None) -> ndarray:
        return argsort(self, axis, kind)

    def sort(self, axis: int = -1, kind: Any = None) -> None:
        check_sort(kind)
        self._host.sort(axis, kind="stable")

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> ndarray:
        """A view that can be written to, unlike NumPy's."""
        view = self._host.diagonal(offset, axis1, axis2)
        view.flags.writeable = self._host.flags.writeable
        return of(view)

    def round(self, decimals: int = 0, out: Any = None) -> ndarray:
        return held(self._host.round(decimals, out))

    def scatter_add(self, slices: Any, value: Any) -> None:
        scatter("add", self, slices, value)

    def take(self, indices: Any, axis: Any = None, out: Any = None) -> ndarray:
        return take(self, indices, axis, out)

    # operators are set below, from the ufuncs
    def __matmul__(self, other: Any) -> Any:
        return held(self._host @ operand(other))

    def __rmatmul__(self, other: Any) -> Any:
        return held(operand(other) @ self._host)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or ufunc.__name__ not in OFFERS["ufuncs"]:
            return NotImplemented
        return UFUNCS[ufunc.__name__](*inputs, **options)

    def __array_function__(self, function: Any, *rest: Any) -> Any:
        if test_may_look and not called_by_package():
            args, options = rest[1:]
            return function(*shown(args), **{k: shown(v) for k, v in options.items()})
        raise TypeError(f"numpy.{function.__name__} of a CuPy array: write namespace(x)")


test_may_look = False  # whether np.asarray(x) in a test is answered


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


class Ufunc:
    """An elementwise function for the types that CuPy has compiled in."""

    def __init__(self, name: str) -> None:
        offer = OFFERS["ufuncs"][name]
        self.__name__ = self.name = name
        self.types, self._scatter, self._reduces = offer["types"], offer["at"], offer["reduce"]
        self._numpy = getattr(np, name, None)
        self.nin = len(self.types[0].split("->")[0])
        self.nout = len(self.types[0].split("->")[1])

    def __call__(self, *args: Any, out: Any = None, dtype: Any = None, casting: Any = "same_kind"):
        if self._numpy is None:
            raise NotImplementedError(f"the stand-in does not compute {self.name}")
        if len(args) == self.nin + 1 and out is None:
            *args, out = args  # type: ignore[assignment]
        values = [operand(a) for a in args]
        target = out[0] if isinstance(out, tuple) else out
        options = {} if dtype is None else {"dtype": dtype}
        kinds = loop(self.name, tuple(kind_of(a) for a in values), dtype)
        with np.errstate(all="ignore"):
            if target is not None:
                self._numpy(*values, out=operand(target), casting=casting, **options)
                return target
            y = self._numpy(*values, casting=casting, **options)
        many = y if isinstance(y, tuple) else (y,)
        many = tuple(
            of(np.ascontiguousarray(v).reshape(np.shape(v)).astype(k, copy=False))
            for v, k in zip(many, kinds, strict=True)
        )
        return many if self.nout > 1 else many[0]

    def reduce(self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims=False):
        if not self._reduces:
            raise NotImplementedError(f"`cupy_{self.name}.reduce` is not supported yet")
        method = array.sum if self.name == "add" else array.prod
        return method(axis, dtype, out, keepdims)

    def accumulate(self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
        if not self._reduces:
            raise NotImplementedError(f"`cupy_{self.name}.accumulate` is not supported yet")
        return (array.cumsum if self.name == "add" else array.cumprod)(axis, dtype, out)

    def reduceat(self, array: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: Any = None):
        if self.name != "add":
            raise NotImplementedError(f"`cupy_{self.name}.reduceat` is not supported yet")
        return held(np.add.reduceat(raw(array), raw(indices), axis, dtype, raw(out)))

    def at(self, a: Any, indices: Any, b: Any = None) -> None:
        if self._scatter is None:
            raise NotImplementedError(f"`cupy_{self.name}.at` is not supported yet")
        scatter(self.name, a, indices, b)

    def outer(self, a: Any, b: Any, **options: Any) -> Any:
        return self(a.reshape(a.shape + (1,) * b.ndim), b, **options)


def scatter(name: str, a: ndarray, slices: Any, value: Any) -> None:
    """a[slices] = name(a[slices], value), every repetition counted; in the dtypes CuPy has."""
    allowed = ATOMIC_ADD if name in ("add", "subtract") else ATOMIC_EXTREME
    if a.dtype.name not in allowed:
        raise TypeError(f"scatter_{name} only supports {', '.join(sorted(allowed))} as data type")
    getattr(np, name).at(a._host, wrapped(slices, a._host), operand(value))


def kind_of(value: Any) -> Any:
    """A dtype, or bool, int, float, complex for a Python number."""
    return value.dtype if isinstance(value, (np.ndarray, np.generic)) else type(value)


WEAK = {bool: np.dtype("bool"), int: np.dtype("int64"), float: np.dtype("float64"),
        complex: np.dtype("complex128")}  # fmt: skip


@functools.cache
def loop(name: str, kinds: tuple[Any, ...], dtype: Any) -> list[np.dtype]:
    """The dtypes of the results: those of the first of CuPy's loops that takes the arguments."""
    strong = [k for k in kinds if isinstance(k, np.dtype)]
    order = "biufc"

    def rank(k: Any) -> int:
        kind = WEAK[k].kind if k in WEAK else k.kind
        return order.index("i" if kind == "u" else kind)

    top = max((rank(k) for k in strong), default=-1)
    ins = [WEAK[k] if k in WEAK and rank(k) > top else k for k in kinds]
    for types in OFFERS["ufuncs"][name]["types"]:
        takes, gives = types.split("->")
        if dtype is not None and np.dtype(dtype) not in [np.dtype(c) for c in (*takes, *gives)]:
            continue
        if dtype is not None or all(
            k in WEAK or np.can_cast(k, c, "safe") for k, c in zip(ins, takes, strict=True)
        ):
            return [np.dtype(c) for c in gives]
    shown = ", ".join(str(k) for k in kinds)
    raise TypeError(f"cupy.{name} has no loop for ({shown})")


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
    host_read("shares_memory")
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
TRUTHS = ("allclose", "array_equal", "array_equiv")


class Device:
    """cupy.cuda.Device, of which there is one."""

    def __init__(self, device: Any = None) -> None:
        self.id = 0 if device is None else int(getattr(device, "id", device))
        if self.id != 0:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return self.id

    def use(self) -> None: ...

    def synchronize(self) -> None: ...

    compute_capability = "90"
    mem_info = (2**30, 2**31)


class CUDARuntimeError(RuntimeError):
    """As cupy.cuda.runtime.CUDARuntimeError."""


class Stream:
    """cupy.cuda.Stream: the default one; all work here is done when its call returns."""

    ptr = 0

    def __init__(self, null: bool = False, non_blocking: bool = False, **options: Any) -> None: ...

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def synchronize(self) -> None: ...


class MemoryPool:
    def used_bytes(self) -> int:
        return 4096

    def total_bytes(self) -> int:
        return 8192

    def free_all_blocks(self) -> None: ...


def module(name: str, contents: dict[str, Any]) -> ModuleType:
    """A module that imports as `name`."""
    made = ModuleType(name)
    made.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
    made.__path__ = []  # type: ignore[attr-defined]
    vars(made).update(contents)
    return made


def build() -> dict[str, ModuleType]:
    """The module cupy and its parts, by name."""
    names: dict[str, Any] = {}
    for name, known in OFFERS["functions"].items():
        run = getattr(np, name, None)
        if name in OWN:
            names[name] = OWN[name]
        elif callable(run):
            names[name] = function(name, known, truth(run) if name in TRUTHS else run)
    names |= UFUNCS
    names |= {k: getattr(np, k) for k in OFFERS["constants"] if hasattr(np, k)}
    names |= {k: getattr(np, k) for k in OFFERS["types"] if hasattr(np, k)}
    names |= {"ndarray": ndarray, "__version__": OFFERS["version"], "newaxis": None,
              "get_default_memory_pool": MemoryPool}  # fmt: skip
    linalg = {
        name: function(name, known, getattr(np.linalg, name))
        for name, known in OFFERS["submodules"]["linalg"].items()
        if hasattr(np.linalg, name)
    }
    linalg |= {"inv": inv, "LinAlgError": np.linalg.LinAlgError}
    tricks = {
        name: function(name, known, getattr(np.lib.stride_tricks, name))
        for name, known in OFFERS["submodules"]["lib.stride_tricks"].items()
    }
    runtime = module("cupy.cuda.runtime", {
        "CUDARuntimeError": CUDARuntimeError, "getDeviceCount": lambda: 1, "getDevice": lambda: 0,
        "deviceSynchronize": lambda: None,
        "getDeviceProperties": lambda i: {"name": b"stand-in", "major": 9, "minor": 0},
    })  # fmt: skip
    cuda = module("cupy.cuda", {
        "Device": Device, "Stream": Stream, "runtime": runtime, "MemoryPointer": MemoryPointer,
        "UnownedMemory": UnownedMemory, "get_current_stream": Stream,
        "is_available": lambda: True,
    })  # fmt: skip
    stride_tricks = module("cupy.lib.stride_tricks", tricks)
    lib = module("cupy.lib", {"stride_tricks": stride_tricks})
    linalg_module = module("cupy.linalg", linalg)
    cupy = module("cupy", {**names, "cuda": cuda, "linalg": linalg_module, "lib": lib})
    parts = [cupy, cuda, runtime, lib, stride_tricks, linalg_module]
    return {m.__name__: m for m in parts}


UFUNCS = {name: Ufunc(name) for name in OFFERS["ufuncs"]}


def operators() -> None:
    """Give ndarray its operators, each the ufunc it is in CuPy."""
    binary = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide",
              "floordiv": "floor_divide", "mod": "remainder", "pow": "power",
              "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
              "lshift": "left_shift", "rshift": "right_shift"}  # fmt: skip
    compare = {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal",
               "gt": "greater", "ge": "greater_equal"}  # fmt: skip
    unary = {"neg": "negative", "abs": "absolute", "invert": "invert"}

    def defers(other: Any) -> bool:
        return getattr(type(other), "__array_ufunc__", ...) is None

    def forward(f: Ufunc) -> Any:
        return lambda a, b: NotImplemented if defers(b) else f(a, b)

    def reflected(f: Ufunc) -> Any:
        return lambda a, b: f(b, a)

    def in_place(f: Ufunc) -> Any:
        return lambda a, b: f(a, b, out=a)

    for name, ufunc in {**binary, **compare}.items():
        setattr(ndarray, f"__{name}__", forward(UFUNCS[ufunc]))
    for name, ufunc in binary.items():
        setattr(ndarray, f"__r{name}__", reflected(UFUNCS[ufunc]))
        setattr(ndarray, f"__i{name}__", in_place(UFUNCS[ufunc]))
    for name, ufunc in unary.items():
        setattr(ndarray, f"__{name}__", unary_method(UFUNCS[ufunc]))
    ndarray.__pos__ = lambda self: self  # type: ignore[attr-defined]


def unary_method(f: Ufunc) -> Any:
    return lambda self: f(self)


operators()
for _name, _known in OFFERS["methods"].items():
    if _name not in vars(ndarray) and hasattr(np.ndarray, _name):
        setattr(ndarray, _name, method(_name, _known))


def install(look: bool = False) -> None:
    """Register the stand-in as cupy; with `look`, tests may read its arrays with NumPy."""
    global test_may_look
    if "cupy" in sys.modules:
        raise RuntimeError("CuPy is imported already")
    test_may_look = look
    sys.modules.update(build())
