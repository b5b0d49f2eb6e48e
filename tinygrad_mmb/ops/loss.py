"""Losses: what a network's outputs cost against the truth, and the three ways to reduce them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import backend, ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.fused import Fused
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import Array, DType, namespace

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "l1_loss",
    "mse_loss",
    "nll_loss",
]


class CrossEntropy(Fused):
    """Lₙ = -wₙ · log softmax(x)[n, tₙ].   ∂L/∂x[n, k] = gₙ · wₙ · (softmax(x)[n, k] - [k = tₙ]).

    Shapes: logits x (N, C, ...), classes t (N, ...), weights w (N, ...) or None → L (N, ...).
    """

    @staticmethod
    def definition(x: Any, t: Any, w: Any) -> Any:
        picked = pick(ops.log_softmax(x, 1), t)
        return -picked if w is None else -(picked * w)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, t, w = ctx.saved_tensors
        need_x, _, need_w = ctx.needs_input_grad
        gx = gw = None
        if need_x:
            scale = ops.unsqueeze(g if w is None else g * w, 1)
            gx = (ops.softmax(x, 1) - OneHotLike.apply(t, x.shape, x.dtype)) * scale
        if need_w:
            gw = -(g * pick(ops.log_softmax(x, 1), t))
        return gx, None, gw

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 5)), rng.integers(0, 5, n), None
        yield rng.standard_normal((n, 5)), rng.integers(0, 5, n), rng.uniform(0.5, 1.0, n)
        yield rng.standard_normal((2, 3, n)), rng.integers(0, 3, (2, n)), None


class OneHotLike(Function):
    """[k = t] in the shape (N, C, ...) of the logits: a constant."""

    @staticmethod
    def forward(t: Array, shape: tuple[int, ...], dtype: DType) -> Array:
        classes = namespace(t).arange(shape[1]).reshape(-1, *[1] * (len(shape) - 2))
        return (namespace(t).expand_dims(t, 1) == classes).astype(dtype)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return None, None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.integers(0, 3, n), (n, 3), backend.float64


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
        rest = ops.sub(1.0, x)
        gx = g * (x - t) / ops.clamp(ops.mul(x, rest), 1e-12) if need_x else None
        return gx, g * (ops.log(rest) - ops.log(x)) if need_t else None

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


def pick(x: Any, t: Any) -> Any:
    """x[n, tₙ] for x (N, C, ...) and classes t (N, ...)."""
    return ops.squeeze(ops.gather(x, 1, ops.unsqueeze(t, 1)), 1)


def cross_entropy(
    input: X,
    target: X,
    weight: X | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> X:
    """Softmax and negative log-likelihood: L = -Σₖ tₖ ln softmax(z)ₖ, with t the truth, z the logits.

    Shapes: input (C,), (N, C) or (N, C, ...); target either classes (int64 or uint8) without the
    dimension C, or probabilities of the shape of input. weight (C,).
    Classes: "mean" divides by the weights of the classes that came (`ignore_index` left out);
    probabilities: by the number of samples.
    `label_smoothing` ε mixes the truth with the uniform distribution: (1 - ε) t + ε / C.
    Raises: RuntimeError, ValueError (batch sizes, reduction) or IndexError (class out of range).
    """
    reduction = reduction_of(size_average, reduce, reduction)
    where = f"cross_entropy of logits {tuple(input.shape)} and target {tuple(target.shape)}"
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"{where}: label_smoothing must be in [0, 1], but got {label_smoothing}")
    if tuple(input.shape) == tuple(target.shape):
        if target.dtype.kind != "f":
            raise RuntimeError(
                f"{where}: a target in the shape of the logits means class probabilities, of a "
                f"floating dtype, but got {target.dtype}. Classes have no dimension C"
            )
        if ignore_index >= 0:
            raise RuntimeError(f"{where}: ignore_index is not supported for class probabilities")
        refuse_integers(where, input)
        return soft_cross_entropy(where, input, target, weight, reduction, label_smoothing)
    refuse_integers(where, input)
    if not label_smoothing:
        return of_classes(where, input, target, weight, ignore_index, reduction, logits=True)
    classes = 0 if input.ndim == 1 else 1
    check_weight(where, weight, input.shape[classes])
    log_p = ops.log_softmax(input, classes)
    hard = of_classes(where, log_p, target, weight, ignore_index, reduction, logits=False)
    shape = [-1 if d == classes else 1 for d in range(input.ndim)]
    scaled = log_p if weight is None else log_p * ops.reshape(weight, shape)
    smooth = -ops.sum(scaled, (classes,))
    ignored = target == ignore_index
    ignored = ops.reshape(ignored, tuple(smooth.shape))
    smooth = ops.where(ignored, 0.0, smooth)
    if reduction == "sum":
        smooth = ops.sum(smooth)
    elif reduction == "mean":
        counted = class_weights(target, weight, ignore_index, input.dtype)
        smooth = ops.sum(smooth) / ops.sum(counted)
    share = label_smoothing / input.shape[classes]
    return hard * (1.0 - label_smoothing) + smooth * share


def soft_cross_entropy(
    where: str, input: X, target: X, weight: X | None, reduction: str, label_smoothing: float
) -> X:
    """L = -Σₖ wₖ tₖ ln softmax(z)ₖ for probabilities t."""
    classes = 0 if input.ndim == 1 else 1
    n_classes = input.shape[classes] if input.ndim else 1
    check_weight(where, weight, n_classes)
    log_p = ops.log_softmax(input, classes if input.ndim else 0)
    if label_smoothing:
        target = target * (1.0 - label_smoothing) + label_smoothing / n_classes
    terms = log_p * target
    if weight is not None:
        terms = terms * ops.reshape(weight, [-1 if d == classes else 1 for d in range(input.ndim)])
    if reduction == "none":
        return -ops.sum(terms, (classes,)) if input.ndim else -terms
    total = -ops.sum(terms)
    if reduction == "sum":
        return total
    return total / (math.prod(input.shape) / n_classes if n_classes else math.nan)


def nll_loss(
    input: X,
    target: X,
    weight: X | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> X:
    """Negative log-likelihood of log-probabilities: Lₙ = -w[tₙ] · x[n, tₙ].

    Shapes: input (C,), (N, C) or (N, C, ...), target the same without C. "mean" divides by Σ w[tₙ].
    Raises: as cross_entropy.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    where = f"nll_loss of input {tuple(input.shape)} and target {tuple(target.shape)}"
    return of_classes(where, input, target, weight, ignore_index, reduction, logits=False)


def of_classes(
    where: str, x: X, target: X, weight: X | None, ignore_index: int, reduction: str, *, logits: bool
) -> X:
    """The loss for a target of classes; of logits in one fused step, of log-probabilities by picking."""
    check_classes(where, x, target)
    classes = x.shape[0 if x.ndim == 1 else 1]
    check_weight(where, weight, classes)
    refuse_integers(where, x)
    if weight is not None and weight.dtype != x.dtype:
        raise RuntimeError(f"{where}: expected weight of dtype {x.dtype}, but got {weight.dtype}")
    if getattr(weight, "requires_grad", False):
        raise NotImplementedError(f"{where}: not differentiable with respect to weight; detach() it")
    shape = tuple(target.shape)
    single = x.ndim == 1
    if single:
        x, target = ops.unsqueeze(x, 0), ops.reshape(target, (1,))
    ignored, t = safe_classes(where, target, classes, ignore_index)
    picked_weight = None if weight is None else taken(weight, t)
    if logits:
        losses = CrossEntropy.apply(x, t, picked_weight)
    else:
        losses = -pick(x, t)
        losses = losses if picked_weight is None else losses * picked_weight
    if ignored is not None:
        losses = ops.where(ignored, 0.0, losses)
    if reduction == "none":
        return ops.reshape(losses, ()) if single and not shape else losses
    total = ops.sum(losses)
    if reduction == "sum":
        return total
    if weight is None and ignored is None:
        count = math.prod(target.shape)
        return total / (count or math.nan)
    return total / ops.sum(class_weights(target, weight, ignore_index, x.dtype))


def safe_classes(where: str, target: Any, classes: int, ignore_index: int) -> tuple[Any, Any]:
    """(which are ignored, or None; the classes, 0 where ignored).

    Raises: IndexError for a class that is not there.
    """
    t = getattr(target, "array", target)
    xp = namespace(t)
    t = t.astype(backend.int64)
    ignored = t == ignore_index
    if ignored.any():
        t = xp.where(ignored, 0, t)
    else:
        ignored = None
    bad = (t < 0) | (t >= classes) if ignored is None else ((t < 0) | (t >= classes)) & ~ignored
    if bad.any():
        raise IndexError(
            f"{where}: target {int(t[bad].ravel()[0])} is out of bounds: there are {classes} "
            f"classes, 0 to {classes - 1}, and ignore_index is {ignore_index}"
        )
    if isinstance(target, Tensor):
        return None if ignored is None else Tensor(ignored), Tensor(t)
    return ignored, t


def class_weights(target: Any, weight: Any, ignore_index: int, dtype: DType) -> Any:
    """The weight of each sample: that of its class, 0 if it is ignored."""
    t = getattr(target, "array", target)
    kept = (t != ignore_index).astype(dtype)
    if weight is None:
        return Tensor(kept) if isinstance(target, Tensor) else kept
    w = getattr(weight, "array", weight)
    w = w[namespace(t).where(t == ignore_index, 0, t).astype(backend.int64)] * kept
    return Tensor(w) if isinstance(target, Tensor) else w


def taken(weight: Any, t: Any) -> Any:
    """weight[t], a constant."""
    w = getattr(weight, "array", weight)[getattr(t, "array", t)]
    return Tensor(w) if isinstance(t, Tensor) else w


def check_classes(where: str, x: Any, target: Any) -> None:
    """Raise what PyTorch raises where a target of classes does not fit."""
    if not x.ndim:
        raise ValueError(f"{where}: expected 1 or more dimensions, (C,) or (N, C, ...), but got 0")
    if x.ndim > 1 and not target.ndim:
        raise IndexError(f"{where}: expected one class per sample, target of shape {x.shape[:1]}")
    if x.ndim > 1 and x.shape[0] != target.shape[0]:
        raise ValueError(
            f"{where}: expected input batch_size ({x.shape[0]}) to match target batch_size "
            f"({target.shape[0]})"
        )
    expected = (x.shape[0], *x.shape[2:])
    fits = tuple(target.shape) == expected if x.ndim > 1 else tuple(target.shape) in ((), (1,))
    if not fits:
        raise RuntimeError(
            f"{where}: expected target of shape {expected if x.ndim > 1 else ()} with classes, or "
            f"{tuple(x.shape)} with probabilities"
        )
    if target.dtype not in (backend.int64, backend.uint8):
        raise RuntimeError(
            f"{where}: expected target dtype int64 or uint8, but got {target.dtype}. Convert it "
            "first: target.long()"
        )


def check_weight(where: str, weight: Any, classes: int) -> None:
    """Raise unless there is one weight per class."""
    if weight is not None and tuple(weight.shape) != (classes,):
        raise RuntimeError(
            f"{where}: weight should be defined for all {classes} classes or not at all, but got "
            f"weight of shape {tuple(weight.shape)}"
        )


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
        raise NotImplementedError(
            f"mse_loss: not implemented for {input.dtype}; use x.to(float32)"
        )
    difference = input - target
    return reduced(difference * difference, reduction, checked_weight(input, target, weight))


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
    where = f"binary_cross_entropy of input {tuple(input.shape)} and target {tuple(target.shape)}"
    if tuple(input.shape) != tuple(target.shape):
        raise ValueError(f"{where}: the shapes must be the same. Reshape one of them")
    check_broadcast(where, weight, input)
    refuse_integers(where, input)
    if target.dtype != input.dtype:
        raise RuntimeError(f"{where}: found dtype {target.dtype} but expected {input.dtype}")
    if getattr(weight, "requires_grad", False):
        raise NotImplementedError(f"{where}: not differentiable with respect to weight; detach() it")
    for name, value in (("input", input), ("target", target)):
        array = getattr(value, "array", value)
        if not ((array >= 0) & (array <= 1)).all():
            raise RuntimeError(
                f"{where}: all elements of {name} should be between 0 and 1. For logits use "
                "binary_cross_entropy_with_logits"
            )
    losses = BinaryCrossEntropy.apply(input, target)
    return reduced(losses if weight is None else ops.to(losses * weight, losses.dtype), reduction)


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
    where = f"binary_cross_entropy_with_logits of input {tuple(input.shape)}"
    if tuple(target.shape) != tuple(input.shape):
        raise ValueError(
            f"{where}: target size {tuple(target.shape)} must be the same as input size "
            f"{tuple(input.shape)}. Reshape one of them: x.squeeze(1) or t.unsqueeze(1)"
        )
    refuse_integers(where, input)
    if target.dtype.kind != "f":
        raise RuntimeError(f"{where}: expected a floating target, but got {target.dtype}; t.float()")
    for name, value in (("weight", weight), ("pos_weight", pos_weight)):
        check_broadcast(where, value, input)
        if getattr(value, "requires_grad", False):
            raise NotImplementedError(f"{where}: not differentiable with respect to {name}; detach() it")
    log_p = LogSigmoid.apply(input)
    if pos_weight is None:
        losses = (1.0 - target) * input - log_p
    else:
        losses = (1.0 - target) * input - ((pos_weight - 1.0) * target + 1.0) * log_p
    return reduced(losses if weight is None else losses * weight, reduction)


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
    if tuple(input.shape) != tuple(target.shape):
        warnings.warn(
            f"{where}: input {tuple(input.shape)} and target {tuple(target.shape)} differ in shape, "
            "so they broadcast and every input is compared with every target along the stretched "
            "dimensions. If that is not wanted, give both one shape: y.squeeze(1) or t.unsqueeze(1)",
            stacklevel=3,
        )


def checked_weight(input: Any, target: Any, weight: Any) -> Any:
    """The weights of single elements, which must have the shape of the losses."""
    if weight is not None and tuple(weight.shape) != tuple(input.shape):
        raise ValueError(
            f"weights {tuple(weight.shape)} and input {tuple(input.shape)} must have the same size"
        )
    return weight


def refuse_integers(where: str, x: Any) -> None:
    """Losses are for floating dtypes."""
    if x.dtype.kind != "f":
        raise NotImplementedError(f"{where}: not implemented for {x.dtype}; use x.to(float32)")


def check_broadcast(where: str, weight: Any, x: Any) -> None:
    """Raise unless weight broadcasts to x."""
    if weight is None:
        return
    sizes = zip(weight.shape[::-1], x.shape[::-1], strict=False)
    if weight.ndim > x.ndim or any(a not in (1, b) for a, b in sizes):
        raise RuntimeError(
            f"{where}: a weight of shape {tuple(weight.shape)} does not broadcast to {tuple(x.shape)}"
        )
