"""Normalisation layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.backend import int64
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's habit
from tinygrad_mmb.nn import init
from tinygrad_mmb.nn.module import Module
from tinygrad_mmb.nn.parameter import Parameter


class BatchNorm(Module):
    """y = (x - μ) / √(σ² + ε) · weight + bias for each channel   (Ioffe and Szegedy, 2015).

    In training μ, σ² are those of the batch; in evaluation the running ones, which move by
    `momentum` towards each batch's (momentum=None: their plain average over all batches;
    track_running_stats=False: there are none, and the batch's serve always).
    Start: weight 1, bias 0, running_mean 0, running_var 1.
    Raises: ValueError for input of a wrong number of dimensions, or with one value per channel in
    training.
    """

    dimensions: tuple[int, ...] = ()

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        shape = (num_features,)
        self.weight = Parameter(init.blank(shape, dtype)) if affine else None
        self.bias = Parameter(init.blank(shape, dtype)) if affine and bias else None
        tracked = track_running_stats
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        self.num_batches_tracked: Tensor | None
        self.register_buffer("running_mean", init.blank(shape, dtype) if tracked else None)
        self.register_buffer("running_var", init.blank(shape, dtype) if tracked else None)
        count = init.blank((), int64) if tracked else None
        self.register_buffer("num_batches_tracked", count)
        self.reset_parameters()
        if device is not None:
            self.to(device)

    def reset_running_stats(self) -> None:
        """Forget all batches seen."""
        if self.running_mean is not None and self.running_var is not None:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
        if self.num_batches_tracked is not None:
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Start anew."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in self.dimensions:
            expected = " or ".join(f"{n}D" for n in self.dimensions)
            raise ValueError(
                f"{type(self).__name__}({self.num_features}): expected {expected} input (got "
                f"{input.ndim}D input, of shape {tuple(input.shape)})"
            )
        moving = self.training and self.track_running_stats
        share = 0.0 if self.momentum is None else self.momentum
        if moving and self.num_batches_tracked is not None:
            init.write(self.num_batches_tracked, self.num_batches_tracked.array + 1)
            if self.momentum is None:
                share = 1.0 / float(self.num_batches_tracked.array)
        use_batch = self.training or (self.running_mean is None and self.running_var is None)
        kept = not self.training or self.track_running_stats
        return F.batch_norm(
            input,
            self.running_mean if kept else None,
            self.running_var if kept else None,
            self.weight,
            self.bias,
            use_batch,
            share,
            self.eps,
        )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(BatchNorm):
    """Batch normalisation of x (N, C) or (N, C, L)."""

    dimensions = (2, 3)

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield cls(3), rng.standard_normal((n, 3))
        yield cls(3, 1e-3, None, bias=False), rng.standard_normal((n, 3, 2))
        yield cls(3, affine=False), rng.standard_normal((n, 3))
        yield cls(2, track_running_stats=False), rng.standard_normal((3, 2, n))


class BatchNorm2d(BatchNorm):
    """Batch normalisation of x (N, C, H, W)."""

    dimensions = (4,)

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield cls(2), rng.standard_normal((n, 2, 3, 2))
        yield cls(2, 1e-3, 0.3, False), rng.standard_normal((n, 2, 1, 3))


class LayerNorm(Module):
    """y = (x - μ) / √(σ² + ε) · weight + bias over the last dimensions   (Ba et al., 2016).

    Shapes: x (..., *normalized_shape); weight, bias normalized_shape. Start: weight 1, bias 0.
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...] | list[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        shape = (
            (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        )
        self.normalized_shape = shape
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.weight = Parameter(init.blank(shape, dtype)) if elementwise_affine else None
        self.bias = Parameter(init.blank(shape, dtype)) if elementwise_affine and bias else None
        self.reset_parameters()
        if device is not None:
            self.to(device)

    def reset_parameters(self) -> None:
        """Start anew."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield cls(3), rng.standard_normal((n, 3))
        yield cls((2, 3), bias=False), rng.standard_normal((n, 2, 3))
        yield cls([3], 0.1, False), rng.standard_normal((n, 2, 3))
