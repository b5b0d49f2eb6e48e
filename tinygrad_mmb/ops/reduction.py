"""Reductions: many numbers to one. Sums, means, products, any and all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.grad_mode import recording
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import X
from tinygrad_mmb.backend import (
    Array,
    DType,
    as_array,
    bool_,
    float32,
    int64,
    namespace,
    waits,
)
from tinygrad_mmb.backend import uint8 as uint8_
from tinygrad_mmb.backend.arrays import as_dtype
from tinygrad_mmb.ops.dimensions import (
    NOT_GIVEN,
    Dims,
    dims_of,
    divisor,
    require_bool,
    require_dim,
    require_tensor,
    spread,
)
from tinygrad_mmb.ops.views import dim_of

__all__ = ["all", "any", "mean", "prod", "sum"]


class Sum(Function):
    """y = Σ x over some dimensions.   ∂L/∂x = g, repeated over them."""

    contiguous = True

    @staticmethod
    def forward(x: Array, dims: Dims, keepdim: bool) -> Array:
        return total(x, dims, keepdim)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.dims, ctx.keepdim = inputs
        ctx.shape = x.shape

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        g = g if ctx.keepdim or ctx.dims is None else spread(g, ctx.shape, ctx.dims)
        return ops.expand_to(g, ctx.shape), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield from samples_of_reductions(rng, n)


class Mean(Function):
    """y = Σ x / n over some dimensions.   ∂L/∂x = g / n, repeated over them."""

    contiguous = True

    @staticmethod
    def forward(x: Array, dims: Dims, keepdim: bool) -> Array:
        if x.dtype.itemsize == 2:  # a sum of float16 leaves its range long before its mean does
            wide = total(x.astype(float32), dims, keepdim) / divisor(x.shape, dims)
            return as_array(wide).astype(x.dtype)
        return total(x, dims, keepdim) / divisor(x.shape, dims)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.dims, ctx.keepdim = inputs
        ctx.shape = x.shape

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        g = g if ctx.keepdim or ctx.dims is None else spread(g, ctx.shape, ctx.dims)
        return ops.expand_to(g / divisor(ctx.shape, ctx.dims), ctx.shape), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield from samples_of_reductions(rng, n)


class Prod(Function):
    """y = Π xᵢ along one dimension.   ∂L/∂xᵢ = g · Πⱼ≠ᵢ xⱼ, which is y / xᵢ where no x is 0."""

    contiguous = True

    @staticmethod
    def forward(x: Array, dim: int, keepdim: bool) -> Array:
        axis = dim if x.ndim else None
        multiply = namespace(x).multiply
        if x.dtype.itemsize == 2 and x.dtype.kind == "f":
            return as_array(multiply.reduce(x.astype(float32), axis, keepdims=keepdim)).astype(
                x.dtype
            )
        return multiply.reduce(x, axis, dtype=x.dtype, keepdims=keepdim)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.dim, _ = inputs
        ctx.save_for_backward(x, output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_tensors
        if not x.ndim:
            return g, None, None
        g = spread(g, x.shape, (ctx.dim,))
        if 0 in x.shape or (not waits(x) and not bool(any(ops.eq(x, 0.0)))):
            return g * (spread(y, x.shape, (ctx.dim,)) / x), None, None
        others = product_of_others(ops.transpose(x, ctx.dim, -1))
        return g * ops.transpose(others, ctx.dim, -1), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        x = rng.uniform(0.5, 2.0, (n, 3, 2))
        yield x, 1, False
        yield x.transpose(2, 0, 1), 0, True
        yield rng.uniform(0.5, 2.0, ()), 0, False
        one_zero, two_zeros = x.copy(), x.copy()
        one_zero[0, 1] = 0.0
        two_zeros[0, :2] = 0.0
        yield one_zero, 1, False
        yield two_zeros, 1, False


class AnyOf(Function):
    """y = 1 if one of x is not 0 (NaN is not 0). bool; uint8 for uint8, as in PyTorch."""

    contiguous = True

    @staticmethod
    def forward(x: Array, dims: Dims, keepdim: bool) -> Array:
        return truth(namespace(x).any(x, axis=dims, keepdims=keepdim), x)

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 3)) > 0, (1,), False


class AllOf(Function):
    """y = 1 if none of x is 0. bool; uint8 for uint8, as in PyTorch."""

    contiguous = True

    @staticmethod
    def forward(x: Array, dims: Dims, keepdim: bool) -> Array:
        return truth(namespace(x).all(x, axis=dims, keepdims=keepdim), x)

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 3)) > 0, (1,), False


def total(x: Array, dims: Dims, keepdim: bool) -> Array:
    """Σ x; float16 is added up in float32, as its 11 bits stop counting at 2048."""
    add = namespace(x).add  # add.reduce(x) costs half of x.sum()
    if dims is None and not keepdim and x.dtype.itemsize > 2 and x.dtype.kind == "f":
        return add.reduce(x, None)
    if x.dtype.itemsize == 2 and x.dtype.kind == "f":
        return as_array(add.reduce(x, dims, dtype=float32, keepdims=keepdim)).astype(x.dtype)
    return add.reduce(x, dims, dtype=x.dtype, keepdims=keepdim)


def truth(y: Array, x: Array) -> Array:
    """The answer of any and all in the dtype PyTorch gives it."""
    return as_array(y).astype(uint8_) if x.dtype == uint8_ else y


def product_of_others(x: Any) -> Any:
    """Πⱼ≠ᵢ xⱼ for each i along the last dimension, without dividing.

    Pair up neighbours: for each of a pair the others are its partner and the other pairs.
    """
    n = x.shape[-1]
    if n == 1:
        return x**0.0  # 1, for NaN and ∞ as well
    if n % 2:
        x = ops.cat([x, x[..., :1] ** 0.0], -1)
    pairs = ops.reshape(x, (*x.shape[:-1], -1, 2))
    partners = ops.flip(pairs, (-1,))
    if n > 2:
        partners = partners * product_of_others(pairs[..., 0] * pairs[..., 1])[..., None]
    return ops.reshape(partners, x.shape)[..., :n]


def is_plain(x: Any) -> bool:
    """Whether x holds floating-point numbers, so that nothing is to be checked or cast."""
    return hasattr(x, "dtype") and x.dtype.kind == "f"


def as_counted(x: Any, dtype: DType | None) -> Any:
    """Cast x to what it is added up or multiplied in: `dtype`, or int64 for integers and bools."""
    if dtype is not None:
        dtype = as_dtype(dtype)
        if dtype.kind != "f" and getattr(x, "requires_grad", False) and recording.get():
            raise RuntimeError(
                f"dtype={dtype} has no gradient, but x (shape {tuple(x.shape)}) requires one. "
                "Detach it first: x.detach()."
            )
        return ops.to(x, dtype)
    return x if x.dtype.kind == "f" else ops.to(x, int64)


def samples_of_reductions(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
    """(x, dims, keepdim): all dimensions, one, several, kept, 0-d, not contiguous."""
    yield rng.standard_normal((n, n)), None, False
    yield rng.standard_normal((n, 3, 2)), (1,), False
    yield rng.standard_normal((n, 3, 2)), (0, 2), True
    yield rng.standard_normal((n, 3, 2)).transpose(2, 0, 1), (0, 2), False
    yield rng.standard_normal(()), None, True


@method
def sum(input: X, dim: Any = ..., keepdim: bool = False, *, dtype: DType | None = None) -> X:
    """Σ x over `dim` (an int, several, or all); integers and bools are counted in int64."""
    if dim is NOT_GIVEN and dtype is None and keepdim is False and is_plain(input):
        return Sum.apply(input, None, False)  # the end of most losses, so the short way
    require_tensor("sum", input)
    require_dim("sum", dim, keepdim)
    if dtype is not None or input.dtype.kind != "f":
        input = as_counted(input, dtype)
    return Sum.apply(input, dims_of(dim, input.ndim), keepdim)


@method
def mean(input: X, dim: Any = ..., keepdim: bool = False, *, dtype: DType | None = None) -> X:
    """Σ x / n over `dim` (an int, several, or all); NaN where n is 0.

    Raises: RuntimeError for integers and bools without a floating-point `dtype`, as in PyTorch.
    """
    if dim is NOT_GIVEN and dtype is None and keepdim is False and is_plain(input):
        return Mean.apply(input, None, False)
    require_tensor("mean", input)
    require_dim("mean", dim, keepdim)
    found = input.dtype if dtype is None else as_dtype(dtype)
    if found.kind != "f":
        raise RuntimeError(
            f"mean(): the {'dtype of x' if dtype is None else 'dtype asked for'} is {found}, but a "
            "mean is a floating-point number. Pass dtype=float32, or convert first: x.float()."
        )
    if input.dtype != found:
        input = ops.to(input, found)
    return Mean.apply(input, dims_of(dim, input.ndim), keepdim)


@method
def prod(input: X, dim: Any = ..., keepdim: bool = False, *, dtype: DType | None = None) -> X:
    """Π x over all elements or along one dimension; integers and bools in int64."""
    require_tensor("prod", input)
    require_dim("prod", dim, keepdim)
    input = as_counted(input, dtype)
    if dim is NOT_GIVEN:
        return Prod.apply(ops.reshape(input, (-1,)), 0, False)
    return Prod.apply(input, dim_of(dim, input.ndim), keepdim)


@method
def any(input: X, dim: Any = None, keepdim: bool = False) -> X:
    """Whether something is not 0; over `dim`, or over all. An empty `dim` reduces nothing."""
    require_tensor("any", input)
    require_bool("any", keepdim)
    if isinstance(dim, (tuple, list)) and not dim:
        return unreduced_truth(input)
    return AnyOf.apply(input, dims_of(dim, input.ndim), keepdim)


@method
def all(input: X, dim: Any = None, keepdim: bool = False) -> X:
    """Whether nothing is 0; over `dim`, or over all. An empty `dim` reduces nothing."""
    require_tensor("all", input)
    require_bool("all", keepdim)
    if isinstance(dim, (tuple, list)) and not dim:
        return unreduced_truth(input)
    return AllOf.apply(input, dims_of(dim, input.ndim), keepdim)


def unreduced_truth(x: Any) -> Any:
    """What any and all give for dim=(): each element for itself."""
    y = ops.ne(x, 0)
    return ops.to(y, uint8_ if x.dtype == uint8_ else bool_)
