"""Spread and length: variance, standard deviation, norms."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import X
from tinygrad_mmb.backend import Array, DType, as_array, float32, namespace
from tinygrad_mmb.backend.arrays import as_dtype
from tinygrad_mmb.ops.dimensions import (
    NOT_GIVEN,
    Dims,
    count,
    dims_of,
    require_bool,
    require_tensor,
    spread,
)

__all__ = ["norm", "std", "var"]


class Var(Function):
    """y = Σ (x - x̄)² / (n - c).   ∂L/∂x = g · 2 (x - x̄) / (n - c).

    c = 1 (Bessel's correction) gives the unbiased estimate, c = 0 the mean square deviation.
    """

    contiguous = True

    @staticmethod
    def forward(x: Array, dims: Dims, correction: float, keepdim: bool) -> Array:
        wide = x.astype(float32) if x.dtype.itemsize == 2 else x
        n = count(x.shape, dims)
        add = namespace(x).add
        centred = wide - add.reduce(wide, dims, keepdims=True) / float(n)
        squares = add.reduce(centred * centred, dims, keepdims=keepdim)
        left = max(n - correction, 0.0) if n else 0.0  # nothing has no variance: NaN
        return as_array(squares / left).astype(x.dtype, copy=False)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.dims, ctx.correction, _ = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return gradient_of_variance(g, x, ctx.dims, ctx.correction), None, None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), None, 1, False
        yield rng.standard_normal((n, 3, 2)), (0, 2), 0, True
        yield rng.standard_normal((n, 3, 2)).transpose(2, 0, 1), (1,), 0.5, False


class Std(Function):
    """y = √(Σ (x - x̄)² / (n - c)).   ∂L/∂x = g · (x - x̄) / ((n - c) y), and 0 where y is 0."""

    contiguous = True

    @staticmethod
    def forward(x: Array, dims: Dims, correction: float, keepdim: bool) -> Array:
        return namespace(x).sqrt(Var.forward(x, dims, correction, keepdim))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.dims, ctx.correction, _ = inputs
        ctx.save_for_backward(x, output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_tensors
        g = ops.where(ops.eq(y, 0.0), 0.0, g / (2.0 * y))
        return gradient_of_variance(g, x, ctx.dims, ctx.correction), None, None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield from Var.samples(rng, n)


class Norm(Function):
    """y = (Σ |x|ᵖ)^(1/p).   ∂L/∂x = g · sign x · (|x| / y)ᵖ⁻¹, and 0 where y is 0.

    p = ∞ is the largest |x|, -∞ the smallest, 0 counts what is not 0. Where several are the
    largest, they share g.
    """

    contiguous = True

    @staticmethod
    def forward(x: Array, p: float, dims: Dims, keepdim: bool) -> Array:
        xp = namespace(x)
        a = xp.abs(x.astype(float32) if x.dtype.itemsize == 2 else x)
        add = xp.add
        if p == math.inf:
            y = a.max(axis=dims, keepdims=keepdim)
        elif p == -math.inf:
            y = a.min(axis=dims, keepdims=keepdim)
        elif p == 0:
            y = add.reduce(a != 0, dims, dtype=a.dtype, keepdims=keepdim)
        elif p == 1:
            y = add.reduce(a, dims, keepdims=keepdim)
        elif p == 2:
            y = xp.sqrt(add.reduce(a * a, dims, keepdims=keepdim))
        else:
            y = add.reduce(a**p, dims, keepdims=keepdim) ** (1.0 / p)
        return as_array(y).astype(x.dtype, copy=False)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.p, ctx.dims, _ = inputs
        ctx.save_for_backward(x, output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_tensors
        p, dims = ctx.p, ctx.dims
        if p == 0:
            return None, None, None, None
        g, y = spread(g, x.shape, dims), spread(y, x.shape, dims)
        if p == 1:
            gx = ops.sign(x) * g
        elif p == 2:
            gx = g * ops.where(ops.eq(y, 0.0), 0.0, x / y)
        elif abs(p) == math.inf:
            reached = ops.logical_or(
                ops.eq(ops.abs(x), y), ops.logical_and(ops.isnan(x), ops.isnan(y))
            )
            reached = ops.to(reached, x.dtype)
            shared = g / ops.sum(reached, tuple(range(x.ndim)) if dims is None else dims, True)
            gx = ops.sign(x) * (reached * shared)
        elif p < 1:
            power = ops.where(ops.eq(x, 0.0), 0.0, ops.abs(x) ** (p - 1.0))
            gx = ops.sign(x) * power * g * y ** (1.0 - p)
        else:
            scale = ops.where(ops.eq(y, 0.0), 0.0, g / y ** (p - 1.0))
            gx = x * ops.abs(x) ** (p - 2.0) if p > 2 else ops.sign(x) * ops.abs(x) ** (p - 1.0)
            gx = gx * scale
        return gx, None, None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        for p in (2, 1, 0.5, 1.5, 3, -1, math.inf, -math.inf):
            yield rng.uniform(0.5, 2.0, (n, 3)), p, (1,), False
        yield rng.standard_normal((n, 3, 2)).transpose(2, 0, 1), 2, (0, 2), True
        yield rng.standard_normal((n, n)), 2, None, False


def gradient_of_variance(g: Any, x: Any, dims: Dims, correction: float) -> Any:
    """2 g (x - x̄) / (n - c), with PyTorch's infinities where nothing is left to divide by."""
    n = count(x.shape, dims)
    free = n - correction
    g = spread(g, x.shape, dims)
    centred = x - ops.mean(x, None if dims is None else dims, True)
    if dims is None and free <= 0:
        return g * ops.where(
            ops.eq(centred, 0.0), math.nan, ops.where(ops.isnan(centred), math.nan, math.inf)
        )
    return (2.0 / free if free else math.inf) * g * centred


@method
def var(
    input: X,
    dim: Any = ...,
    unbiased: Any = ...,
    keepdim: bool = False,
    *,
    correction: float | None = ...,  # type: ignore[assignment]
) -> X:
    """Σ (x - x̄)² / (n - correction) over `dim` or all; `unbiased=False` means correction=0.

    Raises: RuntimeError for integers and bools.
    """
    dims, correction = checked_arguments("var", input, dim, unbiased, keepdim, correction)
    return Var.apply(input, dims, correction, keepdim)


@method
def std(
    input: X,
    dim: Any = ...,
    unbiased: Any = ...,
    keepdim: bool = False,
    *,
    correction: float | None = ...,  # type: ignore[assignment]
) -> X:
    """√(Σ (x - x̄)² / (n - correction)) over `dim` or all; `unbiased=False` means correction=0.

    Raises: RuntimeError for integers and bools.
    """
    dims, correction = checked_arguments("std", input, dim, unbiased, keepdim, correction)
    return Std.apply(input, dims, correction, keepdim)


def checked_arguments(
    name: str, x: Any, dim: Any, unbiased: Any, keepdim: Any, correction: Any
) -> tuple[Dims, float]:
    """(dims, correction) from PyTorch's three ways to call var: (x, unbiased), (x, dim, unbiased,
    keepdim) and (x, dim, *, correction, keepdim).
    """
    require_tensor(name, x)
    require_bool(name, keepdim)
    if isinstance(dim, bool) and unbiased is NOT_GIVEN:
        dim, unbiased = NOT_GIVEN, dim
    if unbiased is not NOT_GIVEN:
        if correction is not NOT_GIVEN:
            raise TypeError(f"{name}(): takes unbiased or correction, not both; use correction.")
        if not isinstance(unbiased, bool):
            raise TypeError(f"{name}(): unbiased must be bool, not {type(unbiased).__name__}.")
        if dim is NOT_GIVEN and keepdim is not False:
            raise TypeError(f"{name}(): keepdim with unbiased needs dim. Use correction=0 instead.")
        correction = 1 if unbiased else 0
    if correction is NOT_GIVEN or correction is None:
        correction = 1
    if not isinstance(correction, (int, float)):
        raise TypeError(f"{name}(): correction must be Number, not {type(correction).__name__}.")
    if x.dtype.kind != "f":
        raise RuntimeError(
            f"{name} only supports floating point dtypes, but x is {x.dtype}. "
            "Convert first: x.float()."
        )
    dims = dims_of(dim, x.ndim)
    n = count(x.shape, dims)
    if n <= correction:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0: {n} values and correction={correction} leave "
            "nothing to divide by, so the result is NaN or infinite.",
            stacklevel=4,
        )
    return dims, correction


@method
def norm(
    input: X, p: Any = "fro", dim: Any = None, keepdim: bool = False, *, dtype: DType | None = None
) -> X:
    """(Σ |x|ᵖ)^(1/p) over `dim` or all; "fro" (Frobenius) is p = 2.

    Raises: RuntimeError for dtypes that are not floating point, for a narrower `dtype` than
    that of input, and for the largest or smallest of nothing.
    """
    require_tensor("norm", input)
    require_bool("norm", keepdim)
    power = order_of_norm(p, dim)
    found = input.dtype if dtype is None else as_dtype(dtype)
    for what, d in (("x is", input.dtype), ("dtype asks for", found)):
        if d.kind != "f":
            raise RuntimeError(
                f"norm: {what} {d}, but a norm is a floating-point number. Convert: x.float()."
            )
    if found.itemsize < input.dtype.itemsize:
        raise RuntimeError(
            f"norm: dtype={found} is narrower than x, which is {input.dtype}. Convert the result."
        )
    if found != input.dtype:
        input = ops.to(input, found)
    dims = dims_of(dim, input.ndim)
    ordered = power < 0 or power == math.inf
    sizes = input.shape if dims is None else [input.shape[d] for d in dims]
    if ordered and 0 in sizes:
        raise RuntimeError(
            f"norm: p = {power} of an empty dimension does not exist (x has shape "
            f"{tuple(input.shape)}, dim is {dim}): nothing is the largest or smallest of nothing."
        )
    return Norm.apply(input, power, dims, keepdim)


def order_of_norm(p: Any, dim: Any) -> float:
    """The order as a number."""
    if not isinstance(p, str):
        return 2.0 if p is None else float(p)
    if p == "nuc":
        raise NotImplementedError('norm: p="nuc" (the nuclear norm) is not built.')
    if p == "fro":
        if isinstance(dim, (tuple, list)) and len(dim) > 2:
            raise RuntimeError(
                f'norm: p="fro" is the norm of a matrix, so dim must be a 2-tuple, not {dim}. '
                "Use p=2."
            )
        return 2.0
    raise RuntimeError(f'norm: order {p!r} is not supported; p is "fro" or a number.')
