"""Cross-entropy of two classes: probabilities, or logits, against probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.tensor import X
from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.ops.dimensions import require_tensor
from tinygrad_mmb.ops.loss import reduced, reduction_of, refuse_integers
from tinygrad_mmb.ops.writing import unchanged

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits"]


class BinaryCrossEntropy(Function):
    """L = -(t ln x + (1 - t) ln (1 - x)), the logarithms cut at -100: no probability costs ∞.

    ∂L/∂x = g · (x - t) / (x (1 - x)),   ∂L/∂t = g · (ln (1 - x) - ln x).
    """

    @staticmethod
    def forward(x: Array, t: Array) -> Array:
        xp = namespace(x)
        log_x, log_1_x = xp.maximum(xp.log(x), -100), xp.maximum(xp.log1p(-x), -100)
        return (t - 1) * log_1_x - t * log_x

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x, t), (need_x, need_t) = ctx.saved_tensors, ctx.needs_input_grad
        gx = g * BinarySlope.apply(x, t) if need_x else None
        return gx, g * (ops.log(ops.add(-x, 1.0)) - ops.log(x)) if need_t else None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.uniform(0.1, 0.9, (n, n)), rng.uniform(0.1, 0.9, (n, n))


class BinarySlope(Function):
    """s = (x - t) / d, the slope of BinaryCrossEntropy, with d = x (1 - x), at least 10⁻¹².

    ∂L/∂x = g · (x² - 2xt + t) / d²,   ∂L/∂t = -g / d: as PyTorch, also where d was raised.
    """

    @staticmethod
    def forward(x: Array, t: Array) -> Array:
        return (x - t) / namespace(x).maximum(x * (1 - x), 1e-12)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x, t), (need_x, need_t) = ctx.saved_tensors, ctx.needs_input_grad
        d = ops.clamp(ops.mul(x, ops.add(-x, 1.0)), 1e-12)
        gx = g * (x * x - 2.0 * (x * t) + t) / (d * d) if need_x else None
        return gx, -g / d if need_t else None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.uniform(0.1, 0.9, (n, n)), rng.uniform(0.1, 0.9, (n, n))


class LogSigmoid(Function):
    """y = ln σ(x) = min(x, 0) - ln (1 + e^-|x|): no overflow.   ∂L/∂x = g · σ(-x)."""

    @staticmethod
    def forward(x: Array) -> Array:
        xp = namespace(x)
        return xp.minimum(x, 0) - xp.log1p(xp.exp(-xp.abs(x)))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * ops.sigmoid(-x)

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield (rng.standard_normal((n, n)),)
        yield (rng.standard_normal(()),)


def binary_cross_entropy(
    input: X,
    target: X,
    weight: X | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> X:
    """L = -(t ln p + (1 - t) ln (1 - p)) for probabilities p = input.

    Shapes: input, target alike; weight broadcasts to them. For logits use
    binary_cross_entropy_with_logits: it cannot overflow.
    Raises: ValueError where the shapes differ; RuntimeError outside [0, 1] and for mixed dtypes.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    require_tensor("binary_cross_entropy", input, error=AttributeError)
    require_tensor("binary_cross_entropy", target, "target", AttributeError)
    where = f"binary_cross_entropy of input {tuple(input.shape)} and target {tuple(target.shape)}"
    if tuple(input.shape) != tuple(target.shape):
        raise ValueError(
            f"{where}: the shapes must be the same. Reshape one of them: "
            "x.squeeze(1) or t.unsqueeze(1)"
        )
    check_broadcast(where, weight, input)
    refuse_integers(where, input)
    if target.dtype != input.dtype:
        raise RuntimeError(
            f"{where}: found dtype {target.dtype} but expected {input.dtype}. "
            f"Convert it: target.to({input.dtype})"
        )
    if getattr(weight, "requires_grad", False):
        raise NotImplementedError(
            f"{where}: not differentiable with respect to weight; detach() it"
        )
    for name, value in (("input", input), ("target", target)):
        array = getattr(value, "array", value)
        if not ((array >= 0) & (array <= 1)).all():
            raise RuntimeError(
                f"{where}: all elements of {name} should be between 0 and 1. For logits use "
                "binary_cross_entropy_with_logits"
            )
    losses = BinaryCrossEntropy.apply(input, target)
    weighted = losses if weight is None else ops.to(losses * weight, losses.dtype)
    return reduced(weighted, reduction)


def binary_cross_entropy_with_logits(
    input: X,
    target: X,
    weight: X | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: X | None = None,
) -> X:
    """L = -(w₊ t ln σ(z) + (1 - t) ln σ(-z)) for logits z = input.

    Shapes: input, target alike; weight and pos_weight w₊ broadcast to them.
    Raises: ValueError where the shapes differ.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    require_tensor("binary_cross_entropy_with_logits", input, error=AttributeError)
    require_tensor("binary_cross_entropy_with_logits", target, "target", AttributeError)
    where = f"binary_cross_entropy_with_logits of input {tuple(input.shape)}"
    if tuple(target.shape) != tuple(input.shape):
        raise ValueError(
            f"{where}: target size {tuple(target.shape)} must be the same as input size "
            f"{tuple(input.shape)}. Reshape one of them: x.squeeze(1) or t.unsqueeze(1)"
        )
    refuse_integers(where, input)
    if target.dtype.kind != "f":
        raise RuntimeError(
            f"{where}: expected a floating target, but got {target.dtype}. "
            "Convert it: target.float()"
        )
    for name, value in (("weight", weight), ("pos_weight", pos_weight)):
        check_broadcast(where, value, input)
        if getattr(value, "requires_grad", False):
            raise NotImplementedError(
                f"{where}: not differentiable with respect to {name}; detach() it"
            )
    log_p = LogSigmoid.apply(input)
    if pos_weight is None:
        losses = (1.0 - target) * input - log_p
    else:
        losses = (1.0 - target) * input - ((pos_weight - 1.0) * target + 1.0) * log_p
    losses = losses if weight is None else losses * weight
    loss = reduced(ops.to(losses, target.dtype), reduction)  # PyTorch works in place on 1 - target
    return unchanged(loss, input, target, weight, pos_weight)


def check_broadcast(where: str, weight: Any, x: Any) -> None:
    """Raise unless weight broadcasts to x."""
    if weight is None:
        return
    sizes = zip(weight.shape[::-1], x.shape[::-1], strict=False)
    if weight.ndim > x.ndim or any(a not in (1, b) for a, b in sizes):
        raise RuntimeError(
            f"{where}: a weight of shape {tuple(weight.shape)} does not broadcast to "
            f"{tuple(x.shape)}"
        )
