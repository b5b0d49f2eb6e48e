"""Running totals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb.autograd import inplace
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import Array, DType, as_array, float32, namespace
from tinygrad_mmb.backend.arrays import as_dtype
from tinygrad_mmb.ops.dimensions import require_tensor
from tinygrad_mmb.ops.reduction import as_counted
from tinygrad_mmb.ops.views import dim_of

__all__ = ["cumsum", "cumsum_"]


class Cumsum(Function):
    """yᵢ = Σⱼ≤ᵢ xⱼ, from the last element on if reversed.   ∂L/∂x = g, summed up the other way."""

    contiguous = True

    @staticmethod
    def forward(x: Array, dim: int, reverse: bool) -> Array:
        if not x.ndim:
            return x.copy()
        wide = x.astype(float32) if x.dtype.itemsize == 2 and x.dtype.kind == "f" else x
        backwards = (slice(None),) * dim + (slice(None, None, -1),)
        y = namespace(x).cumsum(wide[backwards] if reverse else wide, axis=dim, dtype=wide.dtype)
        return as_array(y[backwards] if reverse else y).astype(x.dtype, copy=False)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        _, ctx.dim, ctx.reverse = inputs

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return Cumsum.apply(g, ctx.dim, not ctx.reverse), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 3)), 0, False
        yield rng.standard_normal((n, 3)).T, 1, True
        yield rng.standard_normal(()), 0, False


@method
def cumsum(input: X, dim: int, *, dtype: DType | None = None) -> X:
    """yᵢ = Σⱼ≤ᵢ xⱼ along `dim`; integers and bools are counted in int64.

    Raises: NotImplementedError for dtype=bool where there is something to add, as in PyTorch.
    """
    require_tensor("cumsum", input)
    dim = dim_of(dim, input.ndim)
    if dtype is not None and as_dtype(dtype).kind == "b" and input.ndim and 0 not in input.shape:
        raise NotImplementedError("cumsum is not implemented for bool. Pass dtype=int64.")
    return Cumsum.apply(as_counted(input, dtype), dim, False)


@method
def cumsum_(x: Tensor, dim: int, *, dtype: DType | None = None) -> Tensor:
    """Write cumsum(x, dim) into x, in the dtype of x.

    Raises: RuntimeError if `dtype` is another one; NotImplementedError for bool.
    """
    if dtype is not None and as_dtype(dtype) != x.dtype:
        raise RuntimeError(
            f"cumsum_: x is {x.dtype}, so dtype={dtype} cannot be written into it. Use cumsum."
        )
    return inplace.update(x, cumsum, dim, dtype=x.dtype)
