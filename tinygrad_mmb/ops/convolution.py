"""Convolution of images: all windows as columns of a matrix, then one matrix product.

`nn.Sequential` calls conv2d_relu where a ReLU follows a Conv2d: one op, as in linear.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.fused import Fused
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.ops.activation import through_relu
from tinygrad_mmb.ops.dimensions import require_tensor
from tinygrad_mmb.ops.windows import Fold, Geometry, Windows, pair_of

__all__ = ["conv2d"]


class Images(Function):
    """(G, O/G, N·OH·OW) → (N, O, OH, OW) in memory of its own.   ∂L/∂x = g in the old order."""

    @staticmethod
    def forward(x: Array, shape: tuple[int, ...]) -> Array:
        n, o, h, w = shape
        return namespace(x).ascontiguousarray(x.reshape(o, n, h, w).transpose(1, 0, 2, 3))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.shape = inputs[0].shape

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return as_rows(g, ctx.shape), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((2, 2, 3 * n)), (3, 4, 1, n)


def as_rows(images: X, shape: tuple[int, ...]) -> X:
    """(N, O, OH, OW) → (G, O/G, N·OH·OW), the opposite of `Images`."""
    return ops.reshape(ops.permute(images, (1, 0, 2, 3)), shape)


class Conv2d(Fused):
    """y[n, o] = Σ over channels and window of x · weight[o], plus bias[o].

    As matrices, for each group, W of (O/G, K) with K = C/G · KH · KW and X of (K, N·OH·OW):
    Y = W X + b,   ∂L/∂W = g Xᵀ,   ∂L/∂X = Wᵀ g, folded back into images,   ∂L/∂b = Σ g.
    """

    @staticmethod
    def definition(x: Any, weight: Any, bias: Any, geometry: Geometry, groups: int) -> Any:
        (n, _, h, w), o = x.shape, weight.shape[0]
        columns, rows = columns_of(x, weight, geometry, groups), rows_of(weight, groups)
        y = ops.matmul(rows, columns)
        if bias is not None:
            y = y + ops.reshape(bias, (groups, o // groups, 1))
        return Images.apply(y, (n, o, geometry.windows(0, h), geometry.windows(1, w)))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, weight, _, ctx.geometry, ctx.groups = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return gradients(ctx, g, *ctx.saved_tensors)

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        plain = Geometry((3, 3), (1, 1), (1, 1), (0, 0), (0, 0))
        odd = Geometry((3, 2), (2, 1), (1, 2), (1, 0), (2, 1))
        x, weight = rng.standard_normal((2, 4, 5, 5)), rng.standard_normal((2, 2, 3, 2))
        yield x, rng.standard_normal((3, 4, 3, 3)), None, plain, 1
        yield x, weight, rng.standard_normal(2), odd, 2
        yield x.swapaxes(2, 3), weight, rng.standard_normal(2), odd, 2


class Conv2dRelu(Fused):
    """y = max(z, 0) with z = Conv2d(x).   ∂L/∂z = g where y > 0, else 0; then as Conv2d."""

    @staticmethod
    def definition(x: Any, weight: Any, bias: Any, geometry: Geometry, groups: int) -> Any:
        return ops.relu(Conv2d.definition(x, weight, bias, geometry, groups))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, weight, _, ctx.geometry, ctx.groups = inputs
        ctx.save_for_backward(x, weight, output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, weight, y = ctx.saved_tensors
        return gradients(ctx, through_relu(g, y), x, weight)

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield from Conv2d.samples(rng, n)


def gradients(ctx: Any, g: Any, x: Any, weight: Any) -> tuple[Any, ...]:
    """Those of x, weight and bias from that of the convolution; geometry and groups have none."""
    need_x, need_weight, need_bias, *_ = ctx.needs_input_grad
    (n, c, *size), (o, _, *kernel), groups = x.shape, weight.shape, ctx.groups
    positions = n * g.shape[2] * g.shape[3]
    g_rows = as_rows(g, (groups, o // groups, positions))
    gx = gw = gb = None
    if need_x:
        columns = ops.matmul(ops.transpose(rows_of(weight, groups), 1, 2), g_rows)
        columns = ops.reshape(columns, (c, *kernel, n, *g.shape[2:]))
        gx = Fold.apply(columns, tuple(size), ctx.geometry)
    if need_weight:
        columns = columns_of(x, weight, ctx.geometry, groups)
        gw = ops.reshape(ops.matmul(g_rows, ops.transpose(columns, 1, 2)), weight.shape)
    if need_bias:
        gb = ops.reshape(ops.sum(g_rows, (2,)), (o,))
    return gx, gw, gb, None, None


def columns_of(x: X, weight: Any, geometry: Geometry, groups: int) -> X:
    """Every window of x as a column: (G, K, N·OH·OW)."""
    windows = Windows.apply(x, geometry)
    k = math.prod(weight.shape[1:])
    return ops.reshape(windows, (groups, k, math.prod(windows.shape[3:])))


def rows_of(weight: X, groups: int) -> X:
    """Every filter as a row: (G, O/G, K)."""
    return ops.reshape(weight, (groups, weight.shape[0] // groups, math.prod(weight.shape[1:])))


def conv2d(
    input: X,
    weight: X,
    bias: X | None = None,
    stride: int | tuple[int, int] = 1,
    padding: str | int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> X:
    """Cross-correlation, what deep learning calls convolution.

    Shapes: input (N, C, H, W) or (C, H, W), weight (O, C / groups, KH, KW), bias (O,)
    → (N, O, OH, OW), where OH = ⌊(H + 2 · padding - dilation · (KH - 1) - 1) / stride⌋ + 1.
    `padding` is a number, a pair, "valid" (none) or "same" (OH = H; needs stride 1).
    Raises: RuntimeError where shapes, dtypes or numbers do not fit.
    """
    return convolved(Conv2d, input, weight, bias, stride, padding, dilation, groups)


def conv2d_relu(
    input: X,
    weight: X,
    bias: X | None = None,
    stride: int | tuple[int, int] = 1,
    padding: str | int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> X:
    """relu(conv2d(input, ...)) as one op."""
    return convolved(Conv2dRelu, input, weight, bias, stride, padding, dilation, groups)


def convolved(
    op: type[Function],
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
) -> Any:
    """One of the two ops above, once its arguments are seen to fit."""
    require_tensor("conv2d", input)
    if input.ndim not in (3, 4):
        raise RuntimeError(
            "conv2d: expected 3D (unbatched, C x H x W) or 4D (batched, N x C x H x W) input, but "
            f"got input of shape {tuple(input.shape)}. Missing dimensions: x.unsqueeze(0)"
        )
    if weight.ndim != 4:
        raise RuntimeError(
            f"conv2d: expected weight (O, C / groups, KH, KW), but got {weight.shape}"
        )
    steps, holes = pair_of(stride, "stride", "conv2d"), pair_of(dilation, "dilation", "conv2d")
    kernel = (weight.shape[2], weight.shape[3])
    before, after = borders(padding, kernel, steps, holes)
    geometry = Geometry(kernel, steps, holes, before, after)
    check(input, weight, bias, geometry, groups)
    if input.ndim == 3:
        y = op.apply(ops.unsqueeze(input, 0), weight, bias, geometry, groups)
        return ops.squeeze(y, 0)
    return op.apply(input, weight, bias, geometry, groups)


def borders(padding: Any, kernel: Any, stride: Any, dilation: Any) -> tuple[Any, Any]:
    """Rows and columns of zeros: (above, left), (below, right)."""
    if not isinstance(padding, str):
        border = pair_of(padding, "padding", "conv2d")
        return border, border
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding != "same":
        raise RuntimeError(
            f"conv2d: invalid padding string {padding!r}; give 'same', 'valid' or numbers"
        )
    if stride != (1, 1):
        raise RuntimeError(
            f"conv2d: padding='same' is not supported for strided convolutions, and stride={stride}"
        )
    total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    return (total[0] // 2, total[1] // 2), (total[0] - total[0] // 2, total[1] - total[1] // 2)


def check(input: Any, weight: Any, bias: Any, geometry: Geometry, groups: int) -> None:
    """Raise what PyTorch raises, with sizes."""
    where = f"conv2d of input {tuple(input.shape)} and weight {tuple(weight.shape)}"
    o, c = weight.shape[:2]
    if isinstance(groups, bool) or not isinstance(groups, int):
        raise TypeError(f"{where}: groups must be an int, but got {groups!r}")
    if groups < 1:
        raise RuntimeError(
            f"{where}: non-positive groups is not supported, but got groups={groups}"
        )
    if min(geometry.stride) < 1:
        raise RuntimeError(f"{where}: non-positive stride is not supported: {geometry.stride}")
    if min(geometry.dilation) < 1:
        raise RuntimeError(f"{where}: dilation should be greater than zero: {geometry.dilation}")
    if min(geometry.top_left) < 0:
        raise RuntimeError(f"{where}: negative padding is not supported: {geometry.top_left}")
    if o < groups or o % groups:
        raise RuntimeError(f"{where}: expected the {o} filters to be divisible by groups={groups}")
    if input.shape[-3] != c * groups:
        raise RuntimeError(
            f"{where}: given groups={groups}, expected input to have {c * groups} channels, but "
            f"got {input.shape[-3]} channels instead. Channels come before rows, (N, C, H, W), or "
            f"build Conv2d({input.shape[-3]}, {o}, ...)"
        )
    if min(geometry.kernel) < 1:
        raise RuntimeError(f"{where}: kernel size should be greater than zero: {geometry.kernel}")
    if bias is not None and tuple(bias.shape) != (o,):
        raise RuntimeError(f"{where}: expected bias of shape ({o},), but got {tuple(bias.shape)}")
    for axis in (0, 1):
        size = geometry.padded(axis, input.shape[axis - 2])
        if size < geometry.span(axis):
            raise RuntimeError(
                f"{where}: the kernel covers {geometry.span(axis)} pixels of dimension {axis - 2}, "
                f"but the padded input has {size}. Kernel size can't be greater than input size"
            )
    if 0 in input.shape[-2:]:
        raise RuntimeError(f"{where}: only zero batch or zero channel inputs are supported")
    dtypes = [v.dtype for v in (input, weight, bias) if v is not None]
    if len(set(dtypes)) > 1:
        raise RuntimeError(
            f"{where}: input, weight and bias must share one dtype, but got "
            f"{', '.join(map(str, dtypes))}. Convert with x.to(dtype) or module.to(dtype)"
        )
    if input.dtype.kind == "b":
        raise NotImplementedError(f"{where}: not implemented for bool; use x.to(float32)")
    if isinstance(weight, Tensor) is not isinstance(input, Tensor) and not isinstance(
        input, Tensor
    ):
        raise TypeError(
            f"{where}: input is an array and weight a Tensor; wrap it: from_numpy(input)"
        )
