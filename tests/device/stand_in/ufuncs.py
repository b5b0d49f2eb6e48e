"""Elementwise functions in the types CuPy has compiled in, and the operators that are such."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tests.device.stand_in.arrays import held, ndarray, of, operand, raw, wrapped
from tests.device.stand_in.offers import OFFERS

ATOMIC_ADD = {"int32", "uint32", "uint64", "float16", "float32", "float64"}
ATOMIC_EXTREME = ATOMIC_ADD - {"float16"}
WEAK = {bool: np.dtype("bool"), int: np.dtype("int64"), float: np.dtype("float64"),
        complex: np.dtype("complex128")}  # fmt: skip


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
    ndarray.__array_ufunc__ = array_ufunc  # type: ignore[attr-defined]
    ndarray.scatter_add = scatter_add  # type: ignore[attr-defined]


def unary_method(f: Ufunc) -> Any:
    return lambda self: f(self)


def array_ufunc(self: ndarray, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """A ufunc of NumPy's that is handed one of our arrays: CuPy's of that name."""
    if method != "__call__" or ufunc.__name__ not in UFUNCS:
        return NotImplemented
    return UFUNCS[ufunc.__name__](*inputs, **options)


def scatter_add(self: ndarray, slices: Any, value: Any) -> None:
    scatter("add", self, slices, value)


operators()
