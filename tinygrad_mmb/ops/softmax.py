"""Exponentials on a common scale: softmax, its logarithm, and the logarithm of their sum."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import backend, ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import X
from tinygrad_mmb.backend import Array, DType, as_array, float32, get_default_dtype, namespace
from tinygrad_mmb.backend.arrays import as_dtype
from tinygrad_mmb.ops.dimensions import Dims, dims_of, require_bool, require_tensor, spread
from tinygrad_mmb.ops.views import dim_of

__all__ = ["log_softmax", "logsumexp", "softmax"]


class Softmax(Function):
    """yᵢ = exp xᵢ / Σⱼ exp xⱼ.   ∂L/∂x = y · (g - Σⱼ gⱼ yⱼ)."""

    contiguous = True

    @staticmethod
    def forward(x: Array, dim: int) -> Array:
        wide = widened(x)
        xp, axis = namespace(x), dim if x.ndim else None
        shifted = wide - largest(wide, axis)  # so that exp cannot overflow
        e = xp.exp(shifted, out=shifted) if x.ndim else as_array(xp.exp(shifted))
        e /= xp.add.reduce(e, axis, keepdims=True)
        return e.astype(x.dtype, copy=False)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.dim = inputs[1]
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return y * (g - ops.sum(g * y, ctx.dim, True)), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), 1
        yield rng.standard_normal((n, 3, 2)).transpose(2, 0, 1), 1
        yield rng.standard_normal(()), 0


class LogSoftmax(Function):
    """yᵢ = xᵢ - ln Σⱼ exp xⱼ.   ∂L/∂x = g - exp y · Σⱼ gⱼ."""

    contiguous = True

    @staticmethod
    def forward(x: Array, dim: int) -> Array:
        wide = widened(x)
        xp, axis = namespace(x), dim if x.ndim else None
        shifted = wide - largest(wide, axis)
        y = shifted - xp.log(xp.add.reduce(xp.exp(shifted), axis, keepdims=True))
        return as_array(y).astype(x.dtype, copy=False)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.dim = inputs[1]
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return g - ops.exp(y) * ops.sum(g, ctx.dim, True), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield from Softmax.samples(rng, n)


class LogSumExp(Function):
    """y = ln Σ exp x over some dimensions.   ∂L/∂x = g · exp(x - y): the softmax of x, times g."""

    contiguous = True

    @staticmethod
    def forward(x: Array, dims: Dims, keepdim: bool) -> Array:
        wide = widened(x)
        xp = namespace(x)
        top = largest(wide, dims)
        shift = xp.where(xp.isfinite(top), top, wide.dtype.type(0))  # ∞ - ∞ would be NaN
        y = xp.log(xp.add.reduce(xp.exp(wide - shift), dims, keepdims=True)) + shift
        y = as_array(y).astype(x.dtype, copy=False)
        return y if keepdim else y.reshape(reduced_shape(x.shape, dims))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.dims, _ = inputs
        ctx.save_for_backward(x, output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_tensors
        y, g = spread(y, x.shape, ctx.dims), spread(g, x.shape, ctx.dims)
        return g * ops.exp(x - y), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 3)), (1,), False
        yield rng.standard_normal((n, 3, 2)).transpose(2, 0, 1), (0, 2), True
        yield rng.standard_normal(()), None, False


def widened(x: Array) -> Array:
    """float16 as float32: sums of exponentials need the digits."""
    return x.astype(float32) if x.dtype.itemsize == 2 else x


def largest(x: Array, axis: Any) -> Array:
    """The largest x over `axis`, kept as size 1; -∞ where there are none."""
    if x.size:
        return backend.largest(x, axis, keepdims=True)
    over = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    kept = [1 if dim in over else n for dim, n in enumerate(x.shape)]
    return namespace(x).full(kept, -math.inf, x.dtype)


def reduced_shape(shape: tuple[int, ...], dims: Dims) -> tuple[int, ...]:
    """The shape without the dimensions of a reduction."""
    return () if dims is None else tuple([n for i, n in enumerate(shape) if i not in dims])


@method
def softmax(input: X, dim: int, dtype: DType | None = None) -> X:
    """Exponentials along `dim`, scaled to sum to 1: exp xᵢ / Σⱼ exp xⱼ. Never negative.

    Raises: NotImplementedError for integers and bools without a floating-point `dtype`.
    """
    require_tensor("softmax", input)
    dim = dim_of(dim, input.ndim)
    return Softmax.apply(as_floating("softmax", input, dtype), dim)


@method
def log_softmax(input: X, dim: int, dtype: DType | None = None) -> X:
    """The logarithm of softmax along `dim`, without leaving the range of floats on the way.

    Raises: NotImplementedError for integers and bools without a floating-point `dtype`.
    """
    require_tensor("log_softmax", input)
    dim = dim_of(dim, input.ndim)
    return LogSoftmax.apply(as_floating("log_softmax", input, dtype), dim)


def as_floating(name: str, x: Any, dtype: DType | None) -> Any:
    """Cast x to `dtype`, which must be a floating-point one."""
    found = x.dtype if dtype is None else as_dtype(dtype)
    if found.kind != "f":
        raise NotImplementedError(
            f"{name} is not implemented for {found}. Pass dtype=float32, or convert: x.float()."
        )
    return x if found == x.dtype else ops.to(x, found)


@method
def logsumexp(input: X, dim: Any, keepdim: bool = False) -> X:
    """The logarithm of Σ exp x over `dim` (an int or several); -∞ where there are none.

    Integers become float32. Raises, as PyTorch: TypeError for dim=None, RuntimeError for dim=().
    """
    require_tensor("logsumexp", input)
    require_bool("logsumexp", keepdim)
    every = f"Name them all: dim={tuple(range(input.ndim))}."
    if dim is None:
        raise TypeError(f"logsumexp(): dim must be int or tuple of ints, not NoneType. {every}")
    if isinstance(dim, (tuple, list)) and not dim and input.ndim:
        raise RuntimeError(f"logsumexp(): dim is empty, x has shape {tuple(input.shape)}. {every}")
    if input.dtype.kind != "f":
        input = ops.to(input, get_default_dtype())
    return LogSumExp.apply(input, dims_of(dim, input.ndim), keepdim)
