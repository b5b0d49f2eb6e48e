"""Pooling layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's habit
from tinygrad_mmb.nn.module import Module


class MaxPool2d(Module):
    """The largest value of each window.   Shapes: (N, C, H, W) → (N, C, OH, OW)."""

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        return F.max_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.dilation,
            ceil_mode=self.ceil_mode, return_indices=self.return_indices,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield cls(2), rng.standard_normal((n, 2, 4, 5))
        yield cls(2, return_indices=True), rng.standard_normal((n, 1, 4, 4))
        yield cls((2, 3), 1, 1, 2, ceil_mode=True), rng.standard_normal((n, 2, 7, 6))
        yield cls(3, 2, 1), rng.standard_normal((2, 5, 5))  # one image


class AvgPool2d(Module):
    """The mean of each window.   Shapes: (N, C, H, W) → (N, C, OH, OW)."""

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad, self.divisor_override,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield cls(2), rng.standard_normal((n, 2, 4, 5))
        yield cls(3, 2, 1, True, False), rng.standard_normal((n, 2, 5, 6))
        yield cls((2, 3), 1, divisor_override=5), rng.standard_normal((2, 4, 5))  # one image
