"""Joining: several tensors made one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import promotion
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.ops.views import dim_of

__all__ = ["cat", "concat", "concatenate", "hstack", "stack", "vstack"]


class Cat(Function):
    """y = the xs one after the other along a dimension.   Each receives its slice of g."""

    @staticmethod
    def forward(dim: int, *xs: Array) -> Array:
        full = [x for x in xs if x.shape != (0,)] or xs[:1]
        if len(full) == 1:
            return namespace(*xs).array(full[0], order="C")
        shape = list(full[0].shape)
        shape[dim] = sum([x.shape[dim] for x in full])
        y = namespace(*xs).empty(shape, full[0].dtype)  # left alone, NumPy may choose another order
        return namespace(*xs).concatenate(full, axis=dim, out=y)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.dim, *xs = inputs
        ctx.sizes = [x.shape[ctx.dim] if tuple(x.shape) != (0,) else 0 for x in xs]
        ctx.skipped = [tuple(x.shape) == (0,) for x in xs]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        gxs: list[Any] = []
        start = 0
        before: tuple[Any, ...] = (slice(None),) * ctx.dim
        for size, skipped, need in zip(
            ctx.sizes, ctx.skipped, ctx.needs_input_grad[1:], strict=True
        ):
            if not need:
                gxs.append(None)
            elif skipped:
                gxs.append(ops.zeros_of(g, (0,)))
            else:
                gxs.append(ops.GetItem.apply(g, (*before, slice(start, start + size), ...)))
            start += size
        return None, *gxs

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield 1, rng.standard_normal((n, 2)), rng.standard_normal((n, 3))
        yield 0, rng.standard_normal((n, 2)), rng.standard_normal(0), rng.standard_normal((1, 2))


def _listed(tensors: Any, name: str) -> list[Any]:
    if not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not "
            f"{type(tensors).__name__}. Put them into a list: {name}([a, b])."
        )
    for i, x in enumerate(tensors):
        if not hasattr(x, "ndim"):
            raise TypeError(
                f"{name}(): expected Tensor as element {i} in argument 0, but got "
                f"{type(x).__name__}"
            )
    return list(tensors)


def cat(tensors: Any, dim: int = 0) -> Any:
    """The tensors one after the other along `dim`, in their common dtype.

    Shapes: alike, but for `dim`; empty tensors of shape (0,) fit everywhere.
    Raises: ValueError for an empty list, RuntimeError where shapes differ.
    """
    xs = _listed(tensors, "cat")
    if not xs:
        raise ValueError("cat(): expected a non-empty list of Tensors")
    for i, x in enumerate(xs):
        if not x.ndim:
            raise RuntimeError(
                f"zero-dimensional tensor (at position {i}) cannot be concatenated. Use stack()."
            )
    first = next((x for x in xs if tuple(x.shape) != (0,)), xs[0])
    dim = dim_of(dim, first.ndim)
    for i, x in enumerate(xs):
        if tuple(x.shape) == (0,):
            continue
        if x.ndim != first.ndim:
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {first.ndim} and {x.ndim}, "
                f"tensor number {i} in the list has shape {list(x.shape)}"
            )
        for d, (m, n) in enumerate(zip(first.shape, x.shape, strict=True)):
            if d != dim and m != n:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {m} but "
                    f"got size {n} for tensor number {i} in the list, of shape {list(x.shape)}."
                )
    dtype = reduce(promotion.promote, [x.dtype for x in xs])
    return Cat.apply(dim, *[ops.to(x, dtype) for x in xs])


concat = concatenate = cat


def stack(tensors: Any, dim: int = 0) -> Any:
    """Tensors of one shape side by side in a new dimension `dim`."""
    xs = _listed(tensors, "stack")
    if not xs:
        raise RuntimeError("stack expects a non-empty TensorList")
    for i, x in enumerate(xs):
        if tuple(x.shape) != tuple(xs[0].shape):
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(xs[0].shape)} at entry "
                f"0 and {list(x.shape)} at entry {i}"
            )
    dim = dim_of(dim, xs[0].ndim + 1)
    return cat([ops.unsqueeze(x, dim) for x in xs], dim)


def hstack(tensors: Any) -> Any:
    """Side by side: along dimension 1, or 0 for vectors."""
    xs = [ops.reshape(x, (1,)) if not x.ndim else x for x in _listed(tensors, "hstack")]
    if not xs:
        raise RuntimeError("hstack expects a non-empty TensorList")
    return cat(xs, 0 if xs[0].ndim == 1 else 1)


def vstack(tensors: Any) -> Any:
    """One below the other, vectors as rows."""
    xs = _listed(tensors, "vstack")
    if not xs:
        raise RuntimeError("vstack expects a non-empty TensorList")
    return cat([ops.reshape(x, (1, -1)) if x.ndim < 2 else x for x in xs], 0)
