"""The array that a traced step computes with: the true numbers, and their name in the recording.

It does what numpy.ndarray does and notes it. What would bring a number to the host (float, bool,
item, asarray) is refused: a replay could not do it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tinygrad_mmb.backend import Recorded
from tinygrad_mmb.capture.errors import CaptureError, said, user_line
from tinygrad_mmb.capture.graph import mapped
from tinygrad_mmb.capture.scalars import Scalar

if TYPE_CHECKING:
    from tinygrad_mmb.capture.storage import Look

REDUCTIONS = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum,
              "any": np.logical_or, "all": np.logical_and}  # fmt: skip
PURE = ("mean", "var", "std", "argmax", "argmin", "argsort", "cumsum", "cumprod", "take", "repeat",
        "diagonal", "trace", "searchsorted", "compress", "choose", "round", "conj")  # fmt: skip
VIEWS = ("swapaxes", "squeeze", "view")


class Recording(Recorded, NDArrayOperatorsMixin):
    """An array of the step that `tracer` records, and how it looks at a storage."""

    __slots__ = ("__weakref__", "look", "scalar", "tracer", "value")

    def __init__(self, tracer: Any, value: Any, look: Look, scalar: bool) -> None:
        self.tracer, self.value, self.look = tracer, value, look
        self.scalar = scalar  # NumPy made a scalar of it: x += 1 binds x anew, it writes nothing

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # for isinstance, which all code on arrays may use
        return np.ndarray

    @property
    def namespace(self) -> Any:
        """What stands for NumPy."""
        return self.tracer.namespace

    # What an array is made of. fmt: off
    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    itemsize = property(lambda self: self.value.itemsize)
    nbytes = property(lambda self: self.value.nbytes)
    strides = property(lambda self: self.value.strides)
    flags = property(lambda self: self.value.flags)
    base = property(lambda self: self.value)  # never None: who wants to own it takes a copy
    T = property(lambda self: self.transpose())
    # fmt: on

    def __len__(self) -> int:
        return len(self.value)

    # Calls of NumPy.

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return self.tracer.ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return self.tracer.function(function, args, options)

    # What looks at memory in another way.

    def transpose(self, *axes: Any) -> Any:
        return self.tracer.view(self, np.ndarray.transpose, axes)

    def reshape(self, *shape: Any, **options: Any) -> Any:
        return self.tracer.view(self, np.ndarray.reshape, shape, options)

    def ravel(self, order: str = "C") -> Any:
        return self.tracer.view(self, np.ndarray.ravel, (order,))

    def flatten(self, order: str = "C") -> Any:
        return self.tracer.view(self, np.ndarray.flatten, (order,))

    def __getitem__(self, key: Any) -> Any:
        return self.tracer.getitem(self, key)

    def __iter__(self) -> Iterator[Any]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return iter([self[i] for i in range(len(self.value))])

    # What writes.

    def __setitem__(self, key: Any, source: Any) -> None:
        self.tracer.setitem(self, key, source)

    def fill(self, value: Any) -> None:
        self.tracer.setitem(self, ..., value)

    # What makes a new array.

    def astype(self, dtype: Any, copy: bool = True, **options: Any) -> Any:
        if not copy and np.dtype(dtype) == self.dtype:
            return self
        return self.tracer.copied(self, self.value.astype(dtype, **options))

    def copy(self, order: Any = "C") -> Any:
        return self.tracer.copied(self, self.value.copy(order))

    def clip(self, least: Any = None, most: Any = None, **options: Any) -> Any:
        if options or (least is None and most is None):
            return self.tracer.function(np.clip, (self, least, most), options)
        if least is None:
            return self.tracer.ufunc(np.minimum, "__call__", (self, most), {})
        if most is None:
            return self.tracer.ufunc(np.maximum, "__call__", (self, least), {})
        return self.tracer.function(np.clip, (self, least, most), {})

    def dot(self, other: Any) -> Any:
        return self.tracer.function(np.dot, (self, other), {})

    # What the host would read.

    def _read(self, how: str, *args: Any, **options: Any) -> Any:
        if self.tracer.done:
            return getattr(np.ndarray, how)(self.value, *args, **options)
        raise CaptureError(
            f"{said(user_line())}: a value of shape {self.shape} of the captured step is read on "
            f"the host ({how.strip('_')}), which a replay cannot do again. Return it from the step "
            "and read it outside, or pass fallback=True to run such steps eagerly."
        )

    def _read_whole(self, how: str, *args: Any) -> Any:
        """As `_read`; whole numbers that the step was given are read, and guarded."""
        exact = how != "__bool__"  # a plan for each value: no op should ask for that
        allowed = not self.tracer.done and not (exact and self.tracer.inside)
        if allowed and self.tracer.decide(self, exact):
            return getattr(self.value, how)(*args)
        return self._read(how, *args)

    # fmt: off
    def __bool__(self) -> bool: return bool(self._read_whole("__bool__"))
    def __float__(self) -> float: return float(self._read("__float__"))
    def __int__(self) -> int: return int(self._read_whole("__int__"))
    def __index__(self) -> int: return int(self._read_whole("__index__"))
    def __complex__(self) -> complex: return complex(self._read("__complex__"))
    def __repr__(self) -> str: return str(self._read("__repr__"))
    def __str__(self) -> str: return str(self._read("__str__"))
    def __format__(self, spec: str) -> str: return str(self._read("__format__", spec))
    def __contains__(self, x: Any) -> bool: return bool(self._read("__contains__", x))
    def item(self, *index: Any) -> Any: return self._read_whole("item", *index)
    def tolist(self) -> Any: return self._read("tolist")
    def tobytes(self, *order: Any) -> Any: return self._read("tobytes", *order)
    # fmt: on

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self.tracer.done:
            return np.array(self.value, dtype, copy=copy)
        return self._read("__array__")

    @property
    def __array_interface__(self) -> Any:
        return self.__array__().__array_interface__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(np.ndarray, name):
            raise AttributeError(f"an array has no attribute {name!r}")
        if self.tracer.done:
            return getattr(self.value, name)
        raise self.tracer.untraceable(f"array.{name}")

    # x ** 2 is a product in NumPy, not a call of pow: the same digits need the same ufunc.

    def __pow__(self, exponent: Any) -> Any:
        ufunc = power_of(self, exponent)
        if ufunc is None:
            return self.tracer.ufunc(np.power, "__call__", (self, exponent), {})
        return self.tracer.ufunc(ufunc, "__call__", (self,), {})

    def __ipow__(self, exponent: Any) -> Any:
        ufunc = power_of(self, exponent)
        if ufunc is None:
            return self.tracer.ufunc(np.power, "__call__", (self, exponent), {"out": (self,)})
        return self.tracer.ufunc(ufunc, "__call__", (self,), {"out": (self,)})


def power_of(x: Recording, exponent: Any) -> Any:
    """The ufunc that NumPy takes for x ** exponent instead of power, if it takes another."""
    if type(exponent) not in (int, float) or x.dtype.kind != "f":
        return np.square if type(exponent) is int and exponent == 2 else None
    return {2: np.square, 1: np.positive, 0.5: np.sqrt, -1: np.reciprocal}.get(exponent)


def _reduction(name: str, ufunc: Any) -> Any:
    def reduce(
        self: Recording, axis: Any = None, dtype: Any = None, out: Any = None, **options: Any
    ) -> Any:
        options |= {"axis": axis}
        options |= {"dtype": dtype} if dtype is not None else {}
        options |= {"out": (out,)} if out is not None else {}
        return self.tracer.ufunc(ufunc, "reduce", (self,), options)

    return reduce


def _pure(name: str) -> Any:
    method = getattr(np.ndarray, name)
    return lambda self, *args, **options: self.tracer.call(method, (self, *args), options, name)


def _view(name: str) -> Any:
    method = getattr(np.ndarray, name)
    return lambda self, *args, **options: self.tracer.view(self, method, args, options)


for _name, _ufunc in REDUCTIONS.items():
    setattr(Recording, _name, _reduction(_name, _ufunc))
for _name in PURE:
    setattr(Recording, _name, _pure(_name))
for _name in VIEWS:
    setattr(Recording, _name, _view(_name))


class Namespace:
    """Stands for NumPy where it is asked by namespace(x): what takes recordings, and the rest."""

    def __init__(self, tracer: Any) -> None:
        self._tracer = tracer

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        """x itself, in another dtype a copy of it."""
        if not isinstance(x, Recorded):
            return np.asarray(x, dtype)
        recording: Any = x
        if dtype is not None and np.dtype(dtype) != recording.dtype:
            return recording.astype(dtype)
        return self._tracer.as_array(recording)

    def array(self, x: Any, dtype: Any = None, copy: bool = True, order: str = "K") -> Any:
        """A copy of x."""
        if not isinstance(x, Recorded):
            return np.array(x, dtype, copy=copy, order=order)  # type: ignore[call-overload]
        recording: Any = x
        if not copy:
            return self.asarray(x, dtype)
        value = np.array(recording.value, dtype, order=order)  # type: ignore[call-overload]
        return self._tracer.copied(recording, value)

    def ascontiguousarray(self, x: Any) -> Any:
        """x itself if it lies in rows, else a copy that does."""
        if not isinstance(x, Recorded):
            return np.ascontiguousarray(x)
        recording: Any = x
        return recording if recording.flags.c_contiguous else recording.copy()

    def empty(self, shape: Any, dtype: Any = float) -> Any:
        """Memory without values."""
        return self._tracer.empty(np.empty(shape, dtype))

    def empty_like(self, x: Any, dtype: Any = None) -> Any:
        """Memory without values, laid out as x."""
        return self._tracer.empty(np.empty_like(getattr(x, "value", x), dtype))


def leaves(tree: Any) -> list[Any]:
    """All leaves of nested arguments."""
    found: list[Any] = []
    mapped(tree, found.append)
    return found


def true(x: Any) -> Any:
    """The array or number itself."""
    return x.value if type(x) is Recording or type(x) is Scalar else x


def plain(function: Any, args: Any, options: Any, out: Any = None) -> Any:
    """The call on the true arrays."""
    options = mapped(options, true)
    if out is not None:
        options["out"] = mapped(out, true)
    return function(*mapped(tuple(args), true), **options)
