"""Pooling: one number for each window of an image, its largest or its mean."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import backend, ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.tensor import X
from tinygrad_mmb.backend import Array, add_at, namespace
from tinygrad_mmb.ops.dimensions import require_tensor
from tinygrad_mmb.ops.windows import Geometry, Pair, padded, pair_of

__all__ = ["avg_pool2d", "max_pool2d"]


class MaxPool2d(Function):
    """(the largest of each window, where it stands: row · W + column).   g goes back there.

    Of equal ones the first in reading order counts; NaN is larger than every number.
    """

    @staticmethod
    def forward(x: Array, geometry: Geometry) -> tuple[Array, Array]:
        xp, (_, _, h, w) = namespace(x), x.shape
        counts = geometry.windows(0, h), geometry.windows(1, w)
        least = -math.inf if x.dtype.kind == "f" else xp.iinfo(x.dtype).min
        image = padded(x, geometry, least)
        first = [first_pixel(geometry, axis, n, xp) for axis, n in enumerate(counts)]
        y = xp.full((*x.shape[:2], *counts), least, x.dtype)
        indices = xp.empty(y.shape, backend.int64)
        indices[...] = first[0][:, None] * w + first[1]
        for place in geometry.offsets():
            rows, columns = geometry.pixels(place, counts)
            value = image[:, :, rows, columns]
            larger = (value > y) | (value != value)
            row, column = (  # of this place in every window, counted without the border
                xp.arange(n) * geometry.stride[a] + place[a] * geometry.dilation[a]
                - geometry.top_left[a] for a, n in enumerate(counts)
            )  # fmt: skip
            here = row[:, None] * w + column
            xp.copyto(y, value, where=larger)
            xp.copyto(indices, xp.broadcast_to(here, indices.shape), where=larger)
        return y, indices

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.shape = inputs[0].shape
        ctx.save_for_backward(output[1], inputs[0])  # x may not change in place, as in PyTorch

    @staticmethod
    def backward(ctx: Any, g: Any, _: Any) -> Any:
        indices, _ = ctx.saved_tensors
        return Unpool.apply(g, indices, ctx.shape), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        x = rng.permutation(2 * 3 * 5 * 6).reshape(2, 3, 5, 6) * 0.1  # no ties: they have kinks
        yield x, Geometry((2, 2), (2, 2), (1, 1), (0, 0), (0, 0))
        yield x.swapaxes(2, 3), Geometry((3, 2), (1, 2), (1, 2), (1, 1), (1, 1))


def first_pixel(geometry: Geometry, axis: int, count: int, xp: Any) -> Array:
    """Per window, its first row (or column) that is not border."""
    start = xp.arange(count) * geometry.stride[axis] - geometry.top_left[axis]
    hole = geometry.dilation[axis]
    return xp.where(start < 0, start + -(start // hole) * hole, start)


class Unpool(Function):
    """Values put (added) where the indices say, zeros elsewhere.   ∂L/∂x = g taken from there."""

    @staticmethod
    def forward(x: Array, indices: Array, shape: tuple[int, ...]) -> Array:
        n, c, h, w = shape
        y = namespace(x).zeros((n * c * h * w,), x.dtype)
        plane = namespace(x).arange(n * c).reshape(n, c, 1, 1) * (h * w)
        add_at(y, (indices + plane).ravel(), x.ravel())
        return y.reshape(shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (indices,) = ctx.saved_tensors
        n, c, h, w = g.shape
        flat = ops.reshape(indices, (n, c, indices.shape[2] * indices.shape[3]))
        taken = ops.gather(ops.reshape(g, (n, c, h * w)), 2, flat)
        return ops.reshape(taken, indices.shape), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((2, 1, 2, 2)), rng.integers(0, 12, (2, 1, 2, 2)), (2, 1, 3, 4)


class WindowSum(Function):
    """The sum of each window of x (N, C, H, W).   ∂L/∂x = g spread over the windows."""

    @staticmethod
    def forward(x: Array, geometry: Geometry) -> Array:
        counts = geometry.windows(0, x.shape[2]), geometry.windows(1, x.shape[3])
        image = padded(x, geometry)
        y = namespace(x).zeros((*x.shape[:2], *counts), x.dtype)
        for place in geometry.offsets():
            rows, columns = geometry.pixels(place, counts)
            y += image[:, :, rows, columns]
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.geometry = inputs
        ctx.save_for_backward(x)  # as in PyTorch: x may not change in place before backward
        ctx.size = x.shape[2:]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        ctx.saved_tensors  # noqa: B018 - raises where x has changed
        return WindowSpread.apply(g, ctx.size, ctx.geometry), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((2, 1, 5, 6)), Geometry((2, 3), (2, 1), (1, 1), (1, 0), (1, 0))


class WindowSpread(Function):
    """Each value added to every pixel of its window.   ∂L/∂x = the sums of g over the windows."""

    @staticmethod
    def forward(x: Array, size: Pair, geometry: Geometry) -> Array:
        (top, left), (h, w) = geometry.top_left, size
        shape = [max(geometry.padded(a, size[a]), size[a] + geometry.top_left[a]) for a in (0, 1)]
        y = namespace(x).zeros((*x.shape[:2], *shape), x.dtype)
        for place in geometry.offsets():
            rows, columns = geometry.pixels(place, (x.shape[2], x.shape[3]))
            y[:, :, rows, columns] += x
        return namespace(x).ascontiguousarray(y[:, :, top : top + h, left : left + w])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.geometry = inputs[2]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return WindowSum.apply(g, ctx.geometry), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        geometry = Geometry((2, 3), (2, 1), (1, 1), (1, 0), (1, 0))
        yield rng.standard_normal((2, 1, 3, 4)), (5, 6), geometry


def max_pool2d(
    input: X,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value of each window; with `return_indices` also where it stood in its plane.

    Shapes: input (N, C, H, W) or (C, H, W) → (N, C, OH, OW). Of equal values the first gets all
    of the gradient. Raises: RuntimeError where sizes do not fit.
    """
    where = "max_pool2d"
    holes = pair_of(dilation, "dilation", where)
    geometry = geometry_of(where, input, kernel_size, stride, padding, holes, ceil_mode)
    if input.dtype.kind == "b":
        raise NotImplementedError("max_pool2d: not implemented for bool; use x.to(uint8)")
    y, indices = MaxPool2d.apply(batched(input), geometry)
    if input.ndim == 3:
        y, indices = ops.squeeze(y, 0), ops.squeeze(indices, 0)
    return (y, indices) if return_indices else y


def avg_pool2d(
    input: X,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> X:
    """The mean of each window.

    Shapes: input (N, C, H, W) or (C, H, W) → (N, C, OH, OW). `count_include_pad=False` divides by
    the pixels inside the image only, `divisor_override` by a number of your own.
    Raises: RuntimeError where sizes do not fit.
    """
    where = "avg_pool2d"
    geometry = geometry_of(where, input, kernel_size, stride, padding, (1, 1), ceil_mode)
    if divisor_override == 0:
        raise RuntimeError(f"{where}: divisor must be not zero; divisor_override=None for the mean")
    if input.dtype.kind != "f" and input.dtype != backend.int64:
        raise NotImplementedError(f"{where}: not implemented for {input.dtype}; use x.to(float32)")
    sums = WindowSum.apply(batched(input), geometry)
    divisor = divisor_override or pixel_counts(
        input, geometry, pair_of(padding, "", ""), count_include_pad
    )
    y = sums / divisor if input.dtype.kind == "f" else ops.div(sums, divisor, rounding_mode="trunc")
    return ops.squeeze(y, 0) if input.ndim == 3 else y


def pixel_counts(input: Any, geometry: Geometry, border: Pair, count_include_pad: bool) -> Any:
    """How many pixels each window holds: (OH, OW), or one number where all hold the same."""
    bounds = []
    for axis in (0, 1):
        size, s, k = input.shape[axis - 2], geometry.stride[axis], geometry.kernel[axis]
        starts = [i * s - border[axis] for i in range(geometry.windows(axis, size))]
        if count_include_pad:
            bounds.append([min(a + k, size + border[axis]) - a for a in starts])
        else:
            bounds.append([min(a + k, size) - max(a, 0) for a in starts])
    if len({*bounds[0]}) == 1 and len({*bounds[1]}) == 1:
        return bounds[0][0] * bounds[1][0]
    xp = namespace(getattr(input, "array", input))
    rows, columns = (xp.asarray(b, input.dtype) for b in bounds)
    return rows[:, None] * columns


def batched(x: X) -> X:
    """(C, H, W) as a batch of one."""
    return ops.unsqueeze(x, 0) if x.ndim == 3 else x


def geometry_of(
    where: str,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Pair,
    ceil_mode: bool,
) -> Geometry:
    """The windows, checked.   With `ceil_mode` a last window may hang over the edge."""
    kernel = pair_of(kernel_size, "kernel_size", where)
    steps = kernel if stride is None or stride in ((), []) else pair_of(stride, "stride", where)
    border = pair_of(padding, "padding", where)
    require_tensor(where, input)
    shape = tuple(input.shape)
    if input.ndim not in (3, 4) or 0 in shape[-3:]:
        raise RuntimeError(
            f"{where}: expected a 3D (C, H, W) or 4D (N, C, H, W) input, in which only the batch "
            f"may be empty, but got {shape}"
        )
    for name, values in (("kernel_size", kernel), ("stride", steps), ("dilation", dilation)):
        if min(values) < 1:
            raise RuntimeError(f"{where}: {name} should be greater than zero, but got {values}")
    if min(border) < 0:
        raise RuntimeError(f"{where}: padding must be non-negative, but got {border}")
    after = []
    for axis in (0, 1):
        size, k, s, p = shape[axis - 2], kernel[axis], steps[axis], border[axis]
        span = dilation[axis] * (k - 1) + 1
        if p > span // 2:
            raise RuntimeError(
                f"{where}: padding should be at most half of the (dilated) kernel, but got "
                f"padding={p} and a kernel that covers {span}"
            )
        room = size + 2 * p - span
        count = (room + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (count - 1) * s >= size + p:
            count -= 1  # the last window would lie in the border alone
        if count < 1:
            raise RuntimeError(
                f"{where}: the window covers {span} pixels, but the padded input of shape {shape} "
                f"has {size + 2 * p} in dimension {axis - 2}. Output size is too small"
            )
        after.append((count - 1) * s + span - size - p)
    return Geometry(kernel, steps, dilation, border, (after[0], after[1]))
