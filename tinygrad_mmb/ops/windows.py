"""Sliding windows over images: the one idea behind convolution and pooling, and its adjoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.backend import Array, namespace

Pair = tuple[int, int]


class Geometry(NamedTuple):
    """Where the windows lie on an image of H x W. All pairs are (rows, columns)."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    top_left: Pair  #      rows added above, columns added to the left
    bottom_right: Pair  #  and below, to the right; negative where the last windows would leave rows

    def span(self, axis: int) -> int:
        """How many pixels a window covers, its holes included."""
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1

    def padded(self, axis: int, size: int) -> int:
        return size + self.top_left[axis] + self.bottom_right[axis]

    def windows(self, axis: int, size: int) -> int:
        """How many windows lie along an axis of an image."""
        return (self.padded(axis, size) - self.span(axis)) // self.stride[axis] + 1

    def offsets(self) -> Iterator[Pair]:
        """The places inside a window."""
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                yield i, j

    def pixels(self, place: Pair, counts: Pair) -> tuple[slice, slice]:
        """The pixels of the padded image that stand at `place` of all windows."""
        rows, columns = (
            slice(d * p, d * p + s * (n - 1) + 1, s)
            for d, p, s, n in zip(self.dilation, place, self.stride, counts, strict=True)
        )
        return rows, columns


def padded(x: Array, geometry: Geometry, value: Any = 0) -> Array:
    """The image with its border; x itself if there is none."""
    (top, left), (bottom, right) = geometry.top_left, geometry.bottom_right
    if not (top or left or bottom or right):
        return x
    n, c, h, w = x.shape
    shape = (n, c, h + top + max(bottom, 0), w + left + max(right, 0))
    y = namespace(x).full(shape, value, x.dtype)
    y[:, :, top : top + h, left : left + w] = x
    return y


class Windows(Function):
    """Every window of x (N, C, H, W): (C, KH, KW, N, OH, OW).   ∂L/∂x = g folded back."""

    @staticmethod
    def forward(x: Array, geometry: Geometry) -> Array:
        n, c, h, w = x.shape
        counts = geometry.windows(0, h), geometry.windows(1, w)
        image = padded(x, geometry).transpose(1, 0, 2, 3)
        y = namespace(x).empty((c, *geometry.kernel, n, *counts), x.dtype)
        for i, j in geometry.offsets():
            rows, columns = geometry.pixels((i, j), counts)
            y[:, i, j] = image[:, :, rows, columns]
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.geometry = inputs
        ctx.size = x.shape[2:]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return Fold.apply(g, ctx.size, ctx.geometry), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        geometry = Geometry((2, 3), (2, 1), (1, 2), (1, 0), (0, 2))
        yield rng.standard_normal((2, 2, 5, 6)), geometry
        yield rng.standard_normal((2, 2, 6, 5)).swapaxes(2, 3), geometry


class Fold(Function):
    """Windows (C, KH, KW, N, OH, OW) laid into an image, overlaps added.   ∂L/∂x = windows of g.

    A loop over the places of one window: each step adds a whole image, and no index repeats in it.
    """

    @staticmethod
    def forward(x: Array, size: Pair, geometry: Geometry) -> Array:
        c, _, _, n, *counts = x.shape
        (top, left), (h, w) = geometry.top_left, size
        shape = (
            n,
            c,
            *(max(geometry.padded(a, size[a]), size[a] + geometry.top_left[a]) for a in (0, 1)),
        )
        y = namespace(x).zeros(shape, x.dtype)
        image = y.transpose(1, 0, 2, 3)
        for i, j in geometry.offsets():
            rows, columns = geometry.pixels((i, j), (counts[0], counts[1]))
            image[:, :, rows, columns] += x[:, i, j]
        return namespace(x).ascontiguousarray(y[:, :, top : top + h, left : left + w])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.geometry = inputs[2]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return Windows.apply(g, ctx.geometry), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        geometry = Geometry((2, 3), (2, 1), (1, 2), (1, 0), (0, 2))
        yield rng.standard_normal((2, 2, 3, 2, 3, 4)), (5, 6), geometry


def pair_of(value: Any, name: str, where: str) -> Pair:
    """(v, v) of a number or of (v,); a pair as it is.

    Raises: TypeError unless integers came; RuntimeError if they are not one or two.
    """
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    for v in values:
        if isinstance(v, bool) or not isinstance(v, int):
            raise TypeError(f"{where}: {name} must be an int or a pair of ints, but got {value!r}")
    if len(values) not in (1, 2):
        raise RuntimeError(
            f"{where}: expected {name} to be a single integer value or a list of 2 values to match "
            f"the rows and columns of an image, but got {name}={value!r}"
        )
    return values[0], values[-1]
