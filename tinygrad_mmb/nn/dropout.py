"""Dropout layers: random while training, the identity in evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's habit
from tinygrad_mmb.nn.module import Module
from tinygrad_mmb.ops.random import Generator


class DropoutModule(Module):
    """What the four have in common. `generator` is ours: None means the default one.

    Raises: ValueError for p outside [0, 1].
    """

    plane: tuple[int, ...] = ()  # of a channel in the samples

    def __init__(
        self, p: float = 0.5, inplace: bool = False, *, generator: Generator | None = None
    ) -> None:
        if not 0.0 <= p <= 1.0:
            raise ValueError(
                f"{type(self).__name__}: probability has to be between 0 and 1, but got {p}"
            )
        self.p = p
        self.inplace = inplace
        self.generator = generator

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield cls(), rng.standard_normal((n, 3, *cls.plane))
        yield cls(0.2), rng.standard_normal((n, 2, *cls.plane))
        yield cls(0.0), rng.standard_normal((n, 3, *cls.plane))
        yield cls(1.0), rng.standard_normal((n, 3, *cls.plane))


class Dropout(DropoutModule):
    """Each value zeroed with probability p, the rest divided by 1 - p   (Srivastava, 2014)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace, self.generator)


class Dropout1d(DropoutModule):
    """Whole channels of x (N, C, L) zeroed with probability p."""

    plane = (2,)

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace, self.generator)


class Dropout2d(DropoutModule):
    """Whole channels of x (N, C, H, W) zeroed with probability p."""

    plane = (2, 2)

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace, self.generator)


class AlphaDropout(DropoutModule):
    """Dropout for SELU networks: mean 0 and variance 1 stay   (Klambauer et al., 2017)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.alpha_dropout(input, self.p, self.training, self.inplace, self.generator)
