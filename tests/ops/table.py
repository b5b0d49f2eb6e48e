"""The ops by kind, read from the families' lists of names, and how to draw inputs for them."""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_mmb import ops

ELEMENTWISE = ("activation", "arithmetic", "comparison", "elementwise", "exponential", "power",
               "rounding", "selection", "trigonometry")  # fmt: skip
REDUCING = ("reduction", "extremes", "statistics", "cumulative", "softmax")
FLOATS = ("float64", "float32", "float16")
DTYPES = (*FLOATS, "int64", "int32", "int16", "int8", "uint8", "bool")


def required(name: str) -> list[str]:
    """The names of the arguments that a function of ops cannot do without."""
    found = inspect.signature(getattr(ops, name)).parameters.values()
    return [p.name for p in found if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]


def names(families: tuple[str, ...]) -> list[str]:
    """The public functions of families, without those that write into their argument."""
    modules = [importlib.import_module(f"tinygrad_mmb.ops.{family}") for family in families]
    return sorted({n for module in modules for n in module.__all__ if not n.endswith("_")})


CLAMPS = ("clamp", "clip", "where")  # what they need depends on what they are given
UNARY = [n for n in names(ELEMENTWISE) if len(required(n)) == 1 and n not in CLAMPS]
BINARY = [n for n in names(ELEMENTWISE) if len(required(n)) == 2]
REDUCTIONS = names(REDUCING)
KEEP_SHAPE = ("cumsum", "log_softmax", "softmax")
ONE_DIM = (*KEEP_SHAPE, "argmax", "argmin", "max", "min", "prod")


def for_all(effort: int, holds: Callable[[Any], None]) -> None:
    """Check a property on `effort` draws."""
    settings(max_examples=effort)(given(st.data())(holds))()


# -- inputs ----------------------------------------------------------------------------------------

shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
pairs_of_shapes = hnp.mutually_broadcastable_shapes(
    num_shapes=2, min_dims=0, max_dims=3, min_side=0, max_side=4
).map(lambda found: found.input_shapes)


def strided(x: np.ndarray) -> np.ndarray:
    """Every second element of a larger array, in each dimension."""
    larger = np.ones([2 * n for n in x.shape], x.dtype)
    view = larger[(..., *[slice(None, None, 2)] * x.ndim)]
    view[...] = x
    return view


def within(x: np.ndarray) -> np.ndarray:
    """The middle of a larger array."""
    larger = np.ones([n + 2 for n in x.shape], x.dtype)
    view = larger[(..., *[slice(1, -1)] * x.ndim)]
    view[...] = x
    return view


def backwards(x: np.ndarray) -> np.ndarray:
    """Laid out from its last element to its first: negative strides, which only arrays have."""
    return np.flip(np.flip(x).copy())


def expanded(x: np.ndarray) -> np.ndarray:
    """Its first entry along the first dimension, again and again: stride 0. Other values."""
    if not x.ndim or not x.shape[0]:
        return x
    return np.lib.stride_tricks.as_strided(x, strides=(0, *x.strides[1:]))


LAYOUTS = {
    "rows": lambda x: x.copy(order="C"),
    "columns": lambda x: x.copy(order="F"),
    "strided": strided,
    "within": within,
}


def plain(x: np.ndarray) -> np.ndarray:
    """The same values in rows, without gaps."""
    return np.array(x, order="C")


def values(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Numbers of a few units, small integers, or truth values."""
    if dtype == "bool":
        return np.array(rng.integers(2, size=shape), dtype=bool)
    if dtype in FLOATS:
        return np.array(2 * rng.standard_normal(shape), dtype=dtype)
    return np.array(rng.integers(0 if dtype == "uint8" else -9, 10, size=shape), dtype=dtype)


@st.composite
def arrays(
    draw: Any, shape: Any = shapes, dtype: Any = "float64", special: bool = False
) -> np.ndarray:
    """An array of any shape in any layout, an expanded one now and then.

    `special` puts ±0, ±∞ and NaN among floats.
    """
    shape = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
    dtype = draw(dtype) if isinstance(dtype, st.SearchStrategy) else dtype
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = values(rng, shape, dtype)
    if special and dtype in FLOATS and draw(st.booleans()):
        here = rng.random(shape) < 0.3
        x = np.where(here, rng.choice([0.0, -0.0, math.inf, -math.inf, math.nan], shape), x)
        x = x.astype(dtype)
    x = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](x)
    return expanded(x) if draw(st.integers(0, 4)) == 4 else x


# -- NumPy's functions of another name -------------------------------------------------------------


def erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def power(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """NumPy refuses negative powers of integers; truncated, they are 0, but for ±1."""
    if x.dtype.kind not in "iu":
        return np.power(x, y)
    unit = np.where(x == 1, 1, np.where(x == -1, 1 - 2 * (y % 2), 0))
    return np.where(y < 0, unit, np.power(x, np.maximum(y, 0)))


def log_softmax(x: np.ndarray, axis: Any) -> np.ndarray:
    return x - np.logaddexp.reduce(x, axis, keepdims=True)


NUMPY: dict[str, Callable[..., Any]] = {
    "atan2": np.arctan2, "bitwise_not": np.invert, "div": np.divide, "eq": np.equal,
    "equal": np.array_equal, "ge": np.greater_equal, "gt": np.greater, "le": np.less_equal,
    "lt": np.less, "mul": np.multiply, "ne": np.not_equal, "neg": np.negative, "sub": np.subtract,
    "pow": power,
    "sign": lambda x: 1.0 * (x > 0) - (x < 0),  # of NaN: 0, as in PyTorch
    "erf": erf,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "gelu": lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "relu": lambda x: np.maximum(x, 0),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(x, 0),
    "std": lambda x, axis, keepdims: np.std(x, axis, ddof=1, keepdims=keepdims),
    "var": lambda x, axis, keepdims: np.var(x, axis, ddof=1, keepdims=keepdims),
    "norm": lambda x, axis, keepdims: np.sqrt(np.sum(x * x, axis, keepdims=keepdims)),
    "logsumexp": lambda x, axis, keepdims: np.logaddexp.reduce(x, axis, keepdims=keepdims),
    "log_softmax": log_softmax,
    "softmax": lambda x, axis: np.exp(log_softmax(x, axis)),
}  # fmt: skip


def numpys(name: str) -> Callable[..., Any]:
    """NumPy's function for the op of that name; an op for which there is none fails here."""
    return NUMPY.get(name) or getattr(np, name)


# -- reductions ------------------------------------------------------------------------------------


def dims_for(name: str, data: Any, ndim: int) -> Any:
    """None for all dimensions, one, or several: what the reduction takes."""
    if name in KEEP_SHAPE:
        return data.draw(st.integers(0, ndim - 1))
    if name in ONE_DIM:
        return data.draw(st.none() | st.integers(0, ndim - 1))
    most = min(ndim, 2) if name == "norm" else ndim  # as in PyTorch
    lists = st.lists(st.integers(0, ndim - 1), min_size=1, max_size=most, unique=True)
    return data.draw(st.none() | st.integers(0, ndim - 1) | lists.map(tuple))


def reduced(name: str, x: Any, dim: Any, keepdim: bool) -> Any:
    """The values that ops.<name> gives; where dim is None, it is not passed."""
    options = {} if dim is None else {"dim": dim}
    if dim is None and name == "logsumexp":
        options["dim"] = tuple(range(x.ndim))
    if name not in KEEP_SHAPE and dim is not None:
        options["keepdim"] = keepdim
    y = getattr(ops, name)(x, **options)
    return y[0] if isinstance(y, tuple) else y
