"""Cross-entropy of classes: logits or log-probabilities against classes or probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import backend, ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.fused import Composite, Fused
from tinygrad_mmb.autograd.grad_mode import recording
from tinygrad_mmb.autograd.tensor import Tensor, X, wrap
from tinygrad_mmb.backend import Array, DType, namespace
from tinygrad_mmb.kernels import recorder
from tinygrad_mmb.ops.dimensions import require_tensor
from tinygrad_mmb.ops.gathering import Gather
from tinygrad_mmb.ops.loss import reduction_of, refuse_integers
from tinygrad_mmb.ops.writing import unchanged

__all__ = ["cross_entropy", "nll_loss"]


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


class BatchCrossEntropy(Composite):
    """L = Σₙ Lₙ, or Σₙ Lₙ / Σₙ wₙ if `mean`: the losses of a batch, weighted by class and reduced.

    Shapes: logits x (C,), (N, C) or (N, C, ...), classes t without C, weights w (C,) or None → ().
    Samples whose class is `ignored` do not count. A twin may write the gradient on the way, if it
    `will_be_asked` for it.
    Raises: IndexError for a class that is not there.
    """

    constants = (2,)  # no gradient of the weights, as in PyTorch

    @staticmethod
    def definition(x: Any, t: Any, w: Any, ignored: int, mean: bool, will_be_asked: bool) -> Any:
        losses, some_are = class_losses(x, t, w, ignored, logits=True)
        return reduced(losses, t, w, ignored, some_are, mean)

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        x, t = rng.standard_normal((n, 5)), rng.integers(0, 5, n)
        yield x, t, None, -100, True, True
        yield x, t, rng.uniform(0.5, 1.0, 5), int(t[0]), True, True
        yield x, t, rng.uniform(0.5, 1.0, 5), int(t[0]), False, True
        yield rng.standard_normal((2, 3, n)), rng.integers(0, 3, (2, n)), None, 1, True, True


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


class Where:
    """How errors begin; the words take longer than all checks, so they are made when one fails."""

    def __init__(self, name: str, what: str, input: Any, target: Any) -> None:
        self.name, self.what, self.input, self.target = name, what, input, target

    def __str__(self) -> str:
        shapes = f"{self.what} {tuple(self.input.shape)} and target {tuple(self.target.shape)}"
        return f"{self.name} of {shapes}{order_of(self.input, self.target)}"


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
    """Softmax and negative log-likelihood: L = -Σₖ tₖ ln softmax(z)ₖ, t the truth, z the logits.

    Shapes: input (C,), (N, C) or (N, C, ...); target either classes (int64 or uint8) without the
    dimension C, or probabilities of the shape of input. weight (C,).
    Classes: "mean" divides by the weights of the classes that came (`ignore_index` left out);
    probabilities: by the number of samples.
    `label_smoothing` ε mixes the truth with the uniform distribution: (1 - ε) t + ε / C.
    Raises: RuntimeError, ValueError (batch sizes, reduction) or IndexError (class out of range).
    """
    reduction = reduction_of(size_average, reduce, reduction)
    plain = weight is None and label_smoothing == 0 and reduction != "none"
    if plain and are_usual(input, target):
        return of_batch(input, target, None, ignore_index, reduction == "mean")
    require_tensor("cross_entropy", input)
    require_tensor("cross_entropy", target, "target")
    where = Where("cross_entropy", "logits", input, target)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"{where}: label_smoothing must be in [0, 1], but got {label_smoothing}")
    if input.shape == target.shape:
        if target.dtype.kind != "f":
            raise RuntimeError(
                f"{where}: a target in the shape of the logits means class probabilities, of a "
                f"floating dtype, but got {target.dtype}. Classes have no dimension C: "
                "target.argmax(dim=1), or target.float()"
            )
        if ignore_index >= 0:
            raise RuntimeError(f"{where}: ignore_index is not supported for class probabilities")
        refuse_integers(where, input)
        return soft_cross_entropy(where, input, target, weight, reduction, label_smoothing)
    refuse_integers(where, input)
    if not label_smoothing:
        loss = of_classes(where, input, target, weight, ignore_index, reduction, logits=True)
        return loss if weight is None else unchanged(loss, weight)
    if input.ndim == 1 and target.ndim == 1:
        raise RuntimeError(f"{where}: with label_smoothing, one sample (C,) takes a target ()")
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
    where: Where, input: X, target: X, weight: X | None, reduction: str, label_smoothing: float
) -> X:
    """L = -Σₖ wₖ tₖ ln softmax(z)ₖ for probabilities t."""
    classes = 0 if input.ndim == 1 else 1
    n_classes = input.shape[classes] if input.ndim else 1
    check_weight(where, weight, n_classes)
    log_p = ops.log_softmax(input, classes if input.ndim else 0)
    if label_smoothing:
        target = target * (1.0 - label_smoothing) + label_smoothing / max(n_classes, 1)
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
    require_tensor("nll_loss", input)
    require_tensor("nll_loss", target, "target")
    where = Where("nll_loss", "input", input, target)
    loss = of_classes(where, input, target, weight, ignore_index, reduction, logits=False)
    return unchanged(loss, input, target, weight)


def of_classes(
    where: Where,
    x: X,
    target: X,
    weight: X | None,
    ignore_index: int,
    reduction: str,
    *,
    logits: bool,
) -> X:
    """The loss for a target of classes: of logits in one fused step, of log-probabilities."""
    check_classes(where, x, target)
    classes = x.shape[0 if x.ndim == 1 else 1]
    check_weight(where, weight, classes)
    refuse_integers(where, x)
    if weight is not None and weight.dtype != x.dtype:
        raise RuntimeError(f"{where}: expected weight of dtype {x.dtype}, but got {weight.dtype}")
    if getattr(weight, "requires_grad", False):
        raise NotImplementedError(
            f"{where}: not differentiable with respect to weight; detach() it"
        )
    mean = reduction == "mean"
    if logits and reduction != "none":
        return of_batch(x, target, weight, ignore_index, mean)
    try:
        losses, some_are = class_losses(x, target, weight, ignore_index, logits=logits)
    except IndexError as error:
        raise IndexError(f"{where}: {error}") from None
    if reduction == "none":
        return losses
    return reduced(losses, target, weight, ignore_index, some_are, mean)


def of_batch(x: X, target: X, weight: X | None, ignore_index: int, mean: bool) -> X:
    """The loss of logits in one fused step."""
    asked = recording.get() and getattr(x, "requires_grad", False)
    try:
        return BatchCrossEntropy.apply(x, target, weight, ignore_index, mean, asked)
    except IndexError as error:
        where = Where("cross_entropy", "logits", x, target)
        raise IndexError(f"{where}: {error}") from None


def are_usual(input: Any, target: Any) -> bool:
    """Whether they are what nearly every call brings, so that all checks pass: Tensors, logits
    (N, C) in float32 or float64, and N classes in int64.
    """
    if not (isinstance(input, Tensor) and isinstance(target, Tensor)):
        return False
    x, t = input.array, target.array
    return (
        x.ndim == 2 and x.dtype.char in "fd" and t.dtype == backend.int64 and t.shape == x.shape[:1]
    )


def class_losses(
    x: Any, target: Any, weight: Any, ignore_index: int, *, logits: bool
) -> tuple[Any, bool]:
    """(the loss of each sample, 0 where it is ignored; whether some are).

    Raises: IndexError for a class that is not there.
    """
    single = x.ndim == 1
    if single:
        x, target = ops.unsqueeze(x, 0), ops.reshape(target, (1,))
    ignored, t = safe_classes(target, x.shape[1], ignore_index)
    picked_weight = None if weight is None else taken(weight, t)
    if logits:
        losses = CrossEntropy.apply(x, t, picked_weight)
    else:
        losses = -pick(x, t)
        losses = losses if picked_weight is None else losses * picked_weight
    if ignored is not None:
        losses = ops.where(ignored, 0.0, losses)
    return ops.reshape(losses, ()) if single else losses, ignored is not None


def reduced(losses: Any, target: Any, weight: Any, ignored: int, some_are: bool, mean: bool) -> Any:
    """The sum of the losses, or their mean weighted by the classes that came."""
    total = ops.sum(losses)
    if not mean:
        return total
    if weight is None and not some_are:
        return total / (math.prod(target.shape) or math.nan)
    return total / ops.sum(class_weights(target, weight, ignored, losses.dtype))


def safe_classes(target: Any, classes: int, ignore_index: int) -> tuple[Any, Any]:
    """(which are ignored, or None; the classes, 0 where ignored).

    Raises: IndexError for a class that is not there.
    """
    t = getattr(target, "array", target)
    some_ignored, some_wrong = recorder.answer(judged, t, classes, ignore_index)
    t = t.astype(backend.int64)
    if some_wrong:
        wrong = t[((t < 0) | (t >= classes)) & (t != ignore_index)].ravel()[0]
        raise IndexError(
            f"target {int(wrong)} is out of bounds: there are {classes} "
            f"classes, 0 to {classes - 1}, and ignore_index is {ignore_index}"
        )
    ignored = t == ignore_index if some_ignored else None
    if ignored is not None:
        t = namespace(t).where(ignored, 0, t)
    if isinstance(target, Tensor):
        safe = wrap(t)
        safe._storage = target.memory  # so that a write to the target is noticed in backward
        return None if ignored is None else wrap(ignored), safe
    return ignored, t


def judged(t: Array, classes: int, ignore_index: int) -> tuple[bool, bool]:
    """(whether some are ignored, whether some of the others are no classes)."""
    t = t.astype(backend.int64)
    ignored, wrong = t == ignore_index, (t < 0) | (t >= classes)
    some_ignored = bool(ignored.any())
    return some_ignored, bool((wrong & ~ignored if some_ignored else wrong).any())


def class_weights(target: Any, weight: Any, ignore_index: int, dtype: DType) -> Any:
    """The weight of each sample: that of its class, 0 if it is ignored."""
    t = getattr(target, "array", target)
    kept = (t != ignore_index).astype(dtype)
    if weight is None:
        return wrap(kept) if isinstance(target, Tensor) else kept
    w = getattr(weight, "array", weight)
    w = w[namespace(t).where(t == ignore_index, 0, t).astype(backend.int64)] * kept
    return wrap(w) if isinstance(target, Tensor) else w


def taken(weight: Any, t: Any) -> Any:
    """weight[t], a constant."""
    w = getattr(weight, "array", weight)[getattr(t, "array", t)]
    return wrap(w) if isinstance(t, Tensor) else w


def pick(x: Any, t: Any) -> Any:
    """x[n, tₙ] for x (N, C, ...) and classes t (N, ...), all of which are there."""
    return ops.squeeze(Gather.apply(x, 1, ops.unsqueeze(t, 1)), 1)


def order_of(input: Any, target: Any) -> str:
    """A guess for error messages: integers as input and floats as target were swapped."""
    if input.dtype.kind != "f" and target.dtype.kind == "f":
        return " (swapped? The order is input, target)"
    return ""


def check_classes(where: Where, x: Any, target: Any) -> None:
    """Raise what PyTorch raises where a target of classes does not fit."""
    if not x.ndim:
        raise ValueError(f"{where}: expected 1 or more dimensions, (C,) or (N, C, ...), but got 0")
    batch = x.shape[0] if x.ndim > 1 else 1
    if (x.ndim > 1 and not target.ndim) or (
        target.shape[:1] != (batch,) and (x.ndim > 1 or target.ndim == 1)
    ):
        raise ValueError(
            f"{where}: expected input batch_size ({batch}) to match target batch_size: one class "
            f"per sample, target of shape {x.shape[:1] if x.ndim > 1 else ()}"
        )
    if x.ndim == 1 and target.ndim == 1 and getattr(x, "requires_grad", False):
        raise RuntimeError(
            f"{where}: size mismatch: PyTorch has no gradient for one sample (C,) with a target of "
            "shape (1,). Give target[0], or x.unsqueeze(0)"
        )
    expected = (x.shape[0], *x.shape[2:])
    fits = tuple(target.shape) == expected if x.ndim > 1 else tuple(target.shape) in ((), (1,))
    if not fits:
        raise RuntimeError(
            f"{where}: expected target of shape {expected if x.ndim > 1 else ()} with classes"
            + (
                f", or {tuple(x.shape)} with probabilities"
                if str(where).startswith("cross")
                else ""
            )
        )
    if x.ndim > 2 and target.dtype == backend.uint8:
        raise RuntimeError(f"{where}: expected target dtype int64, but got uint8: target.long()")
    if target.dtype not in (backend.int64, backend.uint8):
        raise RuntimeError(
            f"{where}: expected target dtype int64 or uint8, but got {target.dtype}. Convert it "
            "first: target.long()"
        )


def check_weight(where: Where, weight: Any, classes: int) -> None:
    """Raise unless there is one weight per class."""
    if weight is not None and tuple(weight.shape) != (classes,):
        raise RuntimeError(
            f"{where}: weight should be defined for all {classes} classes or not at all, but got "
            f"weight of shape {tuple(weight.shape)}"
        )
