"""Losses of numbers, and the three ways in which every loss is reduced."""

from __future__ import annotations

import warnings
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import promotion
from tinygrad_mmb.autograd.tensor import X
from tinygrad_mmb.backend import Array
from tinygrad_mmb.ops.dimensions import require_tensor
from tinygrad_mmb.ops.elementwise import Binary

__all__ = ["l1_loss", "mse_loss"]


class SquaredError(Binary):
    """y = (a - b)².   ∂L/∂a = 2 g (a - b),  ∂L/∂b = -2 g (a - b)."""

    promotion = promotion.difference

    @staticmethod
    def forward(a: Array, b: Array) -> Array:
        d = a - b
        return d * d

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (a, b), (need_a, need_b) = ctx.saved_tensors, ctx.needs_input_grad
        slope = g * (2.0 * (a - b))
        return slope if need_a else None, -slope if need_b else None


def mse_loss(
    input: X,
    target: X,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: X | None = None,
) -> X:
    """Mean squared error (y - t)².   Shapes: y, t, weight alike → (), or theirs with "none".

    "mean" with weights divides by their sum. Warns: UserWarning where the shapes broadcast.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    warn_of_broadcasting("mse_loss", input, target)
    if input.dtype.kind != "f" and target.dtype.kind != "f":
        raise NotImplementedError(f"mse_loss: not implemented for {input.dtype}; use x.to(float32)")
    losses = SquaredError.apply(input, target)
    return reduced(losses, reduction, checked_weight(input, target, weight))


def l1_loss(
    input: X,
    target: X,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: X | None = None,
) -> X:
    """Mean absolute error |y - t|.   Shapes: y, t, weight alike → (), or theirs with "none".

    "mean" with weights divides by their sum. Warns: UserWarning where the shapes broadcast.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    warn_of_broadcasting("l1_loss", input, target)
    return reduced(ops.abs(input - target), reduction, checked_weight(input, target, weight))


def reduced(losses: X, reduction: str, weight: X | None = None) -> X:
    """The losses themselves, their sum or their mean."""
    if weight is not None:
        losses = losses * weight
    if reduction == "none":
        return losses
    if reduction == "sum":
        return ops.sum(losses)
    return ops.mean(losses) if weight is None else ops.sum(losses) / ops.sum(weight)


def reduction_of(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The way to reduce, also from PyTorch's two old arguments.

    Raises: ValueError for a word that is none of the three.
    """
    if size_average is not None or reduce is not None:
        mean = True if size_average is None else size_average
        reduction = "none" if reduce is False else "mean" if mean else "sum"
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction={reduction!r}",
            stacklevel=3,
        )
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction!r} is not a valid value for reduction: none, mean or sum")
    return reduction


def warn_of_broadcasting(where: str, input: Any, target: Any) -> None:
    """(N,) against (N, 1) broadcasts to (N, N): nearly always a mistake, so say it."""
    require_tensor(where, input, error=AttributeError)
    require_tensor(where, target, "target", AttributeError)
    if tuple(input.shape) != tuple(target.shape):
        warnings.warn(
            f"{where}: input {tuple(input.shape)} and target {tuple(target.shape)} differ in "
            "shape, so they broadcast, and every input is compared with every target along the "
            "stretched dimensions. Give both one shape: y.squeeze(1), t.unsqueeze(1)",
            stacklevel=3,
        )


def checked_weight(input: Any, target: Any, weight: Any) -> Any:
    """The weights of single elements, which must have the shape of the losses."""
    if weight is not None and tuple(weight.shape) != tuple(input.shape):
        raise ValueError(
            f"weights {tuple(weight.shape)} and input {tuple(input.shape)} must have the same size"
        )
    return weight


def refuse_integers(where: object, x: Any) -> None:
    """Losses are for floating dtypes."""
    if x.dtype.kind != "f":
        raise NotImplementedError(f"{where}: not implemented for {x.dtype}; use x.to(float32)")
