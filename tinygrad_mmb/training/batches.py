"""What the batch size does: the noise of the gradient, and the step size that goes with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_mmb.autograd.differentiate import grad
from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.backend import Array
from tinygrad_mmb.nn.module import Module
from tinygrad_mmb.training.metrics import host


@dataclass(frozen=True)
class GradientNoise:
    """How far gradients of batches of `batch_size` lie from that of the whole set.

    variance = E |g_B - g|²        squared distance, all parameters together
    scale    = B · variance        the same for every B, if samples are drawn independently
    """

    batch_size: int
    variance: float
    gradient: Array  # g, of the whole set, as one vector
    mean: Array  # of the batches' gradients: tends to g

    @property
    def scale(self) -> float:
        return self.batch_size * self.variance


def gradient_noise(
    model: Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    t: Tensor,
    batch_size: int,
    batches: int = 200,
    rng: np.random.Generator | None = None,
) -> GradientNoise:
    """Draw `batches` batches with replacement and compare their gradients with that of all samples.

    L_B = 1/B Σ L_i over a batch is an unbiased estimate of the loss, and so is its gradient: its
    variance falls as 1/B. `loss` must be a mean over samples. Gradients in .grad stay as they are.
    Raises: ValueError for batch_size or batches below 1, or x and t of different lengths.
    """
    if batch_size < 1 or batches < 1 or len(x) != len(t) or not len(x):
        raise ValueError(
            f"gradient_noise: batch_size {batch_size} and batches {batches} must be at least 1, "
            "and "
            f"x and t as long as each other, but they hold {len(x)} and {len(t)} samples"
        )
    rng = rng or np.random.default_rng(0)
    parameters = [p for p in model.parameters() if p.requires_grad]

    def gradient_of(x: Tensor, t: Tensor) -> Array:
        parts: Sequence[Any] = grad(loss(model(x), t), parameters)
        return np.concatenate([host(g).ravel() for g in parts]).astype(np.float64)

    whole = gradient_of(x, t)
    mean, variance = np.zeros_like(whole), 0.0
    for _ in range(batches):
        chosen = rng.integers(len(x), size=batch_size)
        g = gradient_of(x[chosen], t[chosen])
        mean += g / batches
        variance += float(np.sum((g - whole) ** 2)) / batches
    return GradientNoise(batch_size, variance, whole, mean)


def lr_for_batch_size(
    lr: float, old: int, new: int, reduction: str = "mean", keep: str = "step"
) -> float:
    """The step size for batches of `new` samples where `lr` was right for `old`.

    The rule depends on what the loss does with the samples of a batch, and on what shall stay:

        reduction   keep "step": the update of one batch    keep "epoch": progress of a whole epoch
        "mean"      lr                                      lr · new / old   (the linear rule)
        "sum"       lr · old / new                          lr

    So "halve the step when the batch is doubled" holds for a sum only.
    Source of the linear rule: Goyal et al., 2017, section 2.1.
    Raises: ValueError for sizes below 1 or another reduction or keep.
    """
    if old < 1 or new < 1:
        raise ValueError(
            f"lr_for_batch_size: batch sizes are {old} and {new}, but must be at least 1"
        )
    if reduction not in ("mean", "sum") or keep not in ("step", "epoch"):
        raise ValueError(
            f"lr_for_batch_size: reduction is {reduction!r} ('mean' or 'sum'), keep is {keep!r} "
            "('step' or 'epoch')"
        )
    if reduction == "mean":
        return lr if keep == "step" else lr * new / old
    return lr * old / new if keep == "step" else lr
