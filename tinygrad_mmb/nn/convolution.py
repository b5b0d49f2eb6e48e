"""Convolution layers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's habit
from tinygrad_mmb.nn import init
from tinygrad_mmb.nn.module import Module
from tinygrad_mmb.nn.parameter import Parameter
from tinygrad_mmb.ops.windows import pair_of

MODES = ("zeros", "reflect", "replicate", "circular")


class Conv2d(Module):
    """Filters slid over images: y[n, o] = Σ over channels and window of x · weight[o], + bias[o].

    Shapes: x (N, in_channels, H, W) → (N, out_channels, OH, OW), OH as in F.conv2d; weight
    (out_channels, in_channels / groups, *kernel_size), bias (out_channels,).
    Start: weight and bias from U(-k, k), k = 1/√(in_channels / groups · KH · KW).
    Raises: ValueError for channels that groups do not divide and unknown paddings.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: str | int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d({in_channels}, {out_channels}): in_channels and out_channels must be "
                f"divisible by groups={groups}"
            )
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be 'same' or 'valid'")
            if padding == "same" and any(s != 1 for s in pair_of(stride, "stride", "Conv2d")):
                raise ValueError("padding='same' is not supported for strided convolutions")
        if padding_mode not in MODES:
            raise ValueError(f"padding_mode must be one of {MODES}, but got {padding_mode!r}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = pair_of(kernel_size, "kernel_size", "Conv2d")
        self.stride = pair_of(stride, "stride", "Conv2d")
        self.padding = (
            padding if isinstance(padding, str) else pair_of(padding, "padding", "Conv2d")
        )
        self.dilation = pair_of(dilation, "dilation", "Conv2d")
        self.groups = groups
        self.padding_mode = padding_mode
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(init.blank(shape, dtype))
        self.bias = Parameter(init.blank((out_channels,), dtype)) if bias else None
        self.reset_parameters()
        if device is not None:
            self.to(device)

    def reset_parameters(self) -> None:
        """Draw the filters anew."""
        fan_in = math.prod(self.weight.shape[1:])
        k = 1.0 / math.sqrt(fan_in) if fan_in else 0.0
        init.uniform_(self.weight, -k, k)
        if self.bias is not None:
            init.uniform_(self.bias, -k, k)

    def forward(self, input: Tensor) -> Tensor:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self.border(), mode=self.padding_mode)
            padding = 0
        return F.conv2d(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )

    def border(self) -> tuple[int, ...]:
        """The widths for F.pad: (left, right, top, bottom)."""
        if self.padding == "valid":
            return 0, 0, 0, 0
        if self.padding == "same":
            h, w = (d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True))
            return w // 2, w - w // 2, h // 2, h - h // 2
        h, w = pair_of(self.padding, "padding", "Conv2d")
        return w, w, h, h

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        if self.padding != (0, 0):
            text += f", padding={self.padding}"
        if self.dilation != (1, 1):
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield cls(2, 3, 3), rng.standard_normal((n, 2, 5, 6))
        yield cls(2, 4, (3, 2), 2, (1, 0), groups=2), rng.standard_normal((n, 2, 5, 6))
        yield (
            cls(2, 2, 2, padding="same", dilation=2, bias=False),
            rng.standard_normal((n, 2, 4, 5)),
        )
        yield cls(1, 2, 3), rng.standard_normal((1, 4, 5))  # one image
        paddings: tuple[Any, ...] = (1, "valid", "same")
        for mode, padding in zip(MODES[1:], paddings, strict=True):
            layer = cls(1, 2, 2, padding=padding, padding_mode=mode)
            yield layer, rng.standard_normal((n, 1, 4, 4))
