"""The affine map of a layer: one matrix product and a sum."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.fused import Fused
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.ops.dimensions import require_tensor

__all__ = ["linear"]


class Linear(Fused):
    """y = x Wᵀ + b.   ∂L/∂x = g W,   ∂L/∂W = gᵀ x,   ∂L/∂b = Σ g, over the rows of all batches."""

    @staticmethod
    def definition(x: Any, weight: Any, bias: Any) -> Any:
        y = ops.matmul(x, ops.t(weight))
        return y if bias is None else y + bias

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        (x, weight, _), (need_x, need_weight, _) = inputs, ctx.needs_input_grad
        ctx.save_for_backward(x if need_weight else None, weight if need_x else None)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x, weight), (need_x, need_weight, need_bias) = ctx.saved_tensors, ctx.needs_input_grad
        gx = ops.matmul(g, weight) if need_x else None
        gw = None
        if need_weight:
            rows = g if g.ndim == 2 else ops.reshape(g, (-1, g.shape[-1]))
            x = x if x.ndim == 2 else ops.reshape(x, (-1, x.shape[-1]))
            gw = ops.matmul(ops.t(rows), x)
        return gx, gw, g if need_bias else None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        weight, bias = rng.standard_normal((3, n)), rng.standard_normal(3)
        yield rng.standard_normal((n, n)), weight, bias
        yield rng.standard_normal((n, n)), weight, None
        yield rng.standard_normal(n), weight, bias
        yield rng.standard_normal((2, n, n)).swapaxes(1, 2), weight, bias


def linear(input: X, weight: X, bias: X | None = None) -> X:
    """y = x Wᵀ + b.

    Shapes: input (..., in_features), weight (out_features, in_features), bias (out_features,)
    → (..., out_features).
    Raises: RuntimeError where shapes or dtypes do not fit.
    """
    require_tensor("linear", input)
    x: tuple[int, ...] = tuple(input.shape)
    w: tuple[int, ...] = tuple(weight.shape)
    if not input.ndim or not weight.ndim:
        raise RuntimeError(
            f"linear: both arguments need to be at least 1D, but they are {x} and {w}"
        )
    if weight.ndim > 2 or (weight.ndim == 1 and bias is not None):
        raise RuntimeError(f"linear: weight must be a matrix (out, in), but its shape is {w}")
    if x[-1] != w[-1]:
        raise RuntimeError(
            f"linear: x has shape {x}, so its last dimension is {x[-1]}, but weight {w} expects "
            f"{w[-1]}. Flatten x first, or build Linear({x[-1]}, {w[0]})"
        )
    if isinstance(weight, Tensor) and not isinstance(input, Tensor):
        raise TypeError("linear(): input is an array and weight a Tensor. Wrap it: tensor(input)")
    dtypes = [v.dtype for v in (input, weight, bias) if v is not None]
    if len(set(dtypes)) > 1:
        raise RuntimeError(
            "linear: x, weight and bias must have the same dtype, but got "
            f"{', '.join(map(str, dtypes))}. Convert with x.to(dtype) or module.to(dtype)"
        )
    if input.dtype.kind == "b":
        raise NotImplementedError("linear: not implemented for bool; use x.to(float32)")
    if weight.ndim == 1:
        return ops.matmul(input, weight)
    if bias is not None:
        fits = all(b in (1, n) for b, n in zip(bias.shape[::-1], (w[0], *x[-2::-1]), strict=False))
        if not fits or bias.ndim > max(input.ndim, 1):
            raise RuntimeError(
                f"linear: expected bias of shape ({w[0]},), but got {tuple(bias.shape)}"
            )
    return Linear.apply(input, weight, bias)
