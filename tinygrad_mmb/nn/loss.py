"""Losses as modules. Their formulas stand in ops/loss.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor, tensor
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's habit
from tinygrad_mmb.nn.module import Module
from tinygrad_mmb.ops.loss import reduction_of

REDUCTIONS = ("mean", "sum", "none")


class Loss(Module):
    """A loss with one of the reductions "mean", "sum", "none"."""

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        if isinstance(size_average, Tensor) or isinstance(reduce, Tensor):
            name = type(self).__name__
            raise RuntimeError(
                f"{name}(...) takes options, and got Tensors. Make the loss first, then call it: "
                f"nn.{name}()(input, target), or use the function in nn.functional"
            )
        if size_average is not None or reduce is not None:
            reduction = reduction_of(size_average, reduce, reduction)
        self.reduction = reduction


class MSELoss(Loss):
    """L = mean (y - t)².   Shapes: y, t (N, ...) alike → L ()."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        for reduction in REDUCTIONS:
            yield cls(reduction=reduction), rng.standard_normal((n, 3)), rng.standard_normal((n, 3))


class L1Loss(Loss):
    """L = mean |y - t|.   Shapes: y, t (N, ...) alike → L ()."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        for reduction in REDUCTIONS:
            yield cls(reduction=reduction), rng.standard_normal((n, 3)), rng.standard_normal((n, 3))


class CrossEntropyLoss(Loss):
    """L = -mean Σₖ tₖ ln softmax(z)ₖ.   Shapes: logits z (N, C, ...), classes t (N, ...) → L ()."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.weight: Tensor | None
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input, target, self.weight, ignore_index=self.ignore_index,
            reduction=self.reduction, label_smoothing=self.label_smoothing,
        )  # fmt: skip

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        logits, classes = rng.standard_normal((n, 3)), rng.integers(3, size=n)
        for reduction in REDUCTIONS:
            yield cls(reduction=reduction), logits, classes
        shares = rng.dirichlet([1.0, 1.0, 1.0], n)
        yield cls(reduction="none", label_smoothing=0.1), logits, shares
        weight = tensor(rng.uniform(0.5, 2.0, 3))
        yield cls(weight, ignore_index=1, label_smoothing=0.1), logits, classes
        yield cls(weight), rng.standard_normal((n, 3, 2)), rng.integers(3, size=(n, 2))


class NLLLoss(Loss):
    """L = -mean x[n, tₙ] for log-probabilities x (N, C, ...), classes t (N, ...)."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.weight: Tensor | None
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(
            input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction
        )

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        logarithms, classes = rng.standard_normal((n, 3)), rng.integers(3, size=n)
        for reduction in REDUCTIONS:
            yield cls(reduction=reduction), logarithms, classes
        weight = tensor(rng.uniform(0.5, 2.0, 3))
        yield cls(weight, ignore_index=1), logarithms, classes
        yield cls(weight), rng.standard_normal((n, 3, 2)), rng.integers(3, size=(n, 2))


class BCELoss(Loss):
    """L = -mean (t ln p + (1 - t) ln (1 - p)) for probabilities p."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.weight: Tensor | None
        self.register_buffer("weight", weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        p, t = rng.uniform(0.1, 0.9, (n, 3)), rng.uniform(0.1, 0.9, (n, 3))
        for reduction in REDUCTIONS:
            yield cls(reduction=reduction), p, t
        yield cls(tensor(rng.uniform(0.5, 2.0, 3))), p, t


class BCEWithLogitsLoss(Loss):
    """L = -mean (w₊ t ln σ(z) + (1 - t) ln σ(-z)) for logits z: stable for every z."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.weight: Tensor | None
        self.pos_weight: Tensor | None
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        z, t = rng.standard_normal((n, 3)), rng.uniform(0.1, 0.9, (n, 3))
        for reduction in REDUCTIONS:
            yield cls(reduction=reduction), z, t
        weight, pos_weight = tensor(rng.uniform(0.5, 2.0, 3)), tensor(rng.uniform(0.5, 2.0, 3))
        yield cls(weight, pos_weight=pos_weight), z, t
