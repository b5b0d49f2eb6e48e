"""Pieces of a tensor along a dimension: views of one slice, or several views from one call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import X
from tinygrad_mmb.backend import Array
from tinygrad_mmb.ops.views import dim_of, sizes_of, whole

__all__ = ["chunk", "narrow", "select", "split", "unbind"]


class Split(Function):
    """Pieces of the given sizes along a dimension: several views from one call."""

    view = True

    @staticmethod
    def forward(x: Array, sizes: tuple[int, ...], dim: int) -> tuple[Array, ...]:
        before: tuple[Any, ...] = (slice(None),) * dim
        pieces, start = [], 0
        for size in sizes:
            pieces.append(x[(*before, slice(start, start + size))])
            start += size
        return tuple(pieces)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.sizes, ctx.dim = inputs
        ctx.shape = x.shape

    @staticmethod
    def backward(ctx: Any, *gs: Any) -> Any:
        known = next(g for g in gs if g is not None)
        before, after = ctx.shape[: ctx.dim], ctx.shape[ctx.dim + 1 :]
        pieces = [
            ops.zeros_of(known, (*before, size, *after)) if g is None else g  # None: not used
            for g, size in zip(gs, ctx.sizes, strict=True)
        ]
        return ops.cat(pieces, ctx.dim), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 5)), (2, 3), 1
        yield rng.standard_normal((n, 5)), (n,), 0


class Unbind(Function):
    """All slices along a dimension, which disappears: several views from one call."""

    view = True

    @staticmethod
    def forward(x: Array, dim: int) -> tuple[Array, ...]:
        before: tuple[Any, ...] = (slice(None),) * dim
        return tuple([x[(*before, i, ...)] for i in range(x.shape[dim])])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.dim = inputs
        ctx.shape = (*x.shape[: ctx.dim], *x.shape[ctx.dim + 1 :])

    @staticmethod
    def backward(ctx: Any, *gs: Any) -> Any:
        known = next(g for g in gs if g is not None)
        pieces = [ops.zeros_of(known, ctx.shape) if g is None else g for g in gs]
        return ops.stack(pieces, ctx.dim), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 3)), 1
        yield rng.standard_normal(3), 0


@method
def narrow(input: X, dim: int, start: Any, length: int) -> X:
    """`length` slices along a dimension, beginning at `start`."""
    if not input.ndim:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if hasattr(start, "dtype") and (start.ndim or start.dtype.kind not in "iu"):
        raise RuntimeError(
            f"start must be an 0-dim integral Tensor, but is {start.dtype} of shape {start.shape}"
        )
    dim, begin = dim_of(dim, input.ndim), whole(start, "start")
    n = input.shape[dim]
    length = whole(length, "length")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -n <= begin <= n:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-n}, {n}], but got {begin})"
        )
    begin = begin + n if begin < 0 else begin
    if begin + length > n:
        raise RuntimeError(f"start ({begin}) + length ({length}) exceeds dimension size ({n}).")
    return ops.GetItem.apply(input, (*(slice(None),) * dim, slice(begin, begin + length), ...))


@method
def select(input: X, dim: int, index: int) -> X:
    """The slice number `index` along a dimension, which disappears."""
    if not input.ndim:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim, i = dim_of(dim, input.ndim), whole(index, "index")
    if not -input.shape[dim] <= i < input.shape[dim]:
        raise IndexError(
            f"select(): index {i} out of range for tensor of size {list(input.shape)} at dimension "
            f"{dim}"
        )
    return ops.GetItem.apply(input, (*(slice(None),) * dim, i, ...))


def split(tensor: X, split_size_or_sections: Any, dim: int = 0) -> tuple[X, ...]:
    """Pieces of one size (the last may be smaller), or of the listed sizes."""
    if not tensor.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim = dim_of(dim, tensor.ndim)
    n = tensor.shape[dim]
    if isinstance(split_size_or_sections, (tuple, list)):
        sizes = sizes_of(split_size_or_sections, "split_size_or_sections")
        if sum(sizes) != n or min(sizes, default=0) < 0:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size "
                f"at dimension {dim}) and to be non-negative, but got split_sizes={sizes}"
            )
        return Split.apply(tensor, sizes, dim)
    size = whole(split_size_or_sections, "split_size")
    if size < 0 or (size == 0 and n):
        raise RuntimeError(
            f"split expects split_size be positive, but got split_size={size} for dimension {dim} "
            f"of size {n}"
        )
    sizes = tuple([min(size, n - start) for start in range(0, n, size)]) if n else (0,)
    return Split.apply(tensor, sizes, dim)


@method
def chunk(input: X, chunks: int, dim: int = 0) -> tuple[X, ...]:
    """At most `chunks` pieces of one size; the last may be shorter."""
    if not input.ndim:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    chunks = whole(chunks, "chunks")
    if chunks < 1:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input.shape[dim_of(dim, input.ndim)]
    return split(input, -(-n // chunks), dim) if n else split(input, [0] * chunks, dim)


@method
def unbind(input: X, dim: int = 0) -> tuple[X, ...]:
    """The slices along a dimension, which disappears."""
    if not input.ndim:
        raise IndexError(
            "Dimension specified as 0 but tensor has no dimensions: unbind needs at least one"
        )
    return Unbind.apply(input, dim_of(dim, input.ndim))
