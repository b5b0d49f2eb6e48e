"""Batch normalisation and its gradients, in NCHW, NHWC and NC."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.cuda.reduction import as_computed, tile
from tinygrad_mmb.kernels.cuda.reduction import rows as sum_of_rows
from tinygrad_mmb.kernels.launch import (
    contiguous,
    cuda_function,
    cuda_kernel,
    int32,
    int64,
    is_float,
    suffix,
)
from tinygrad_mmb.kernels.launch.rows import LONGEST, PACK
from tinygrad_mmb.kernels.registry import WithExtras

FILE = "batch_norm.cu"
BLOCKS = 1024  # that keep any GPU busy; a number, so that all GPUs give the same bits
THREADS = 256
LEAST = 4  # packs, or rows, of each thread, so that a part is worth a block


@dataclass(frozen=True)
class Planes:
    """NCHW: what a channel has of an image lies together, moved in packs of 16 bytes."""

    channels: int
    n: int  #     values of a channel
    plane: int  # of them in one image
    itemsize: int

    kind = "batch_norm_planes"
    block = (THREADS,)

    @property
    def packs(self) -> int:
        """Of one plane; a plane that is no multiple of a pack may begin between two."""
        per_pack = PACK // self.itemsize
        whole = self.plane % per_pack == 0
        return self.plane // per_pack if whole else (self.plane + 2 * (per_pack - 1)) // per_pack

    @property
    def count(self) -> int:
        """Packs of a channel, in all images."""
        return self.n // self.plane * self.packs

    @property
    def parts(self) -> int:
        """Into how many parts a channel is cut."""
        return cut(self.count, BLOCKS // self.channels, THREADS * LEAST)[0]

    @property
    def grid(self) -> tuple[int, ...]:
        return (self.channels * self.parts,)

    @property
    def sizes(self) -> tuple[Any, ...]:
        """What the kernels take after the arrays."""
        chunk = cut(self.count, BLOCKS // self.channels, THREADS * LEAST)[1]
        numbers = self.channels, self.plane, self.packs, self.count, chunk, self.parts
        return tuple([int32(v) for v in numbers])

    def applied(self, x: Array) -> tuple[Any, ...]:
        """The same for the kernel that writes y or ∂L/∂x."""
        return *self.sizes, as_computed(float(self.n), x)

    def lying(self, x: Array) -> Array:
        """x as the kernels read it."""
        return contiguous(x)

    def shown(self, y: Array) -> Array:
        """What the kernels wrote, as (N, C, ...)."""
        return y


@dataclass(frozen=True)
class Columns:
    """NHWC and NC: the channels of a pixel lie together; a channel is a column."""

    channels: int
    n: int  # values of a channel: rows
    itemsize: int

    @property
    def kind(self) -> str:
        packed = tile(self.channels, self.itemsize)[1] > 1
        return "batch_norm_columns_packed" if packed else "batch_norm_columns"

    @property
    def tiles(self) -> int:
        """Blocks side by side."""
        across, per_thread = tile(self.channels, self.itemsize)
        return -(-self.channels // (across * per_thread))

    @property
    def block(self) -> tuple[int, ...]:
        across, _ = tile(self.channels, self.itemsize)
        return across, THREADS // across

    @property
    def parts(self) -> int:
        return cut(self.n, BLOCKS // self.tiles, self.block[1] * LEAST)[0]

    @property
    def grid(self) -> tuple[int, ...]:
        return self.tiles, self.parts

    @property
    def sizes(self) -> tuple[Any, ...]:
        chunk = cut(self.n, BLOCKS // self.tiles, self.block[1] * LEAST)[1]
        return int64(self.n), int32(self.channels), int64(chunk)

    def applied(self, x: Array) -> tuple[Any, ...]:
        return self.sizes

    def lying(self, x: Array) -> Array:
        return contiguous(x.transpose(0, *range(2, x.ndim), 1))

    def shown(self, y: Array) -> Array:
        return y.transpose(0, y.ndim - 1, *range(1, y.ndim - 1))


def cut(n: int, parts: int, least: int) -> tuple[int, int]:
    """(parts, numbers of each) where n numbers are cut into at most `parts` of at least `least`."""
    chunk = -(-n // max(1, min(parts, n // least)))
    return -(-n // chunk), chunk


def layout_of(x: Array) -> Planes | Columns:
    """As x lies; what lies in another way is copied to NCHW."""
    channels = x.shape[1]
    n = x.size // channels
    plane = math.prod(x.shape[2:])
    last = x.transpose(0, *range(2, x.ndim), 1)
    if plane == 1 or (last.flags.c_contiguous and not x.flags.c_contiguous):
        return Columns(channels, n, x.itemsize)
    return Planes(channels, n, plane, x.itemsize)


class Left(NamedTuple):
    """What forward leaves for the way back."""

    stats: Array  # (3, C): the mean in two parts, and 1 / √(σ² + ε)


def has_channels(x: Array, weight: Array | None, bias: Array | None, eps: float) -> bool:
    """Whether x is (N, C, ...) and not empty, in float32 or float64, as weight and bias are."""
    if not is_float(x, weight, bias, wide=True) or x.ndim < 2 or not 0 < x.size < LONGEST:
        return False
    return all(v is None or v.shape == (x.shape[1],) for v in (weight, bias))


def has_gradient(
    g: Array | None, g_mean: Any, g_variance: Any, x: Array, *saved: Any, needs_input_grad: Any
) -> bool:
    """Whether y alone was used: the kernels know no gradients of μ and σ²."""
    return g is not None and g_mean is None and g_variance is None and is_float(g, x)


@cuda_kernel("BatchNorm", accepts=has_channels)
def batch_norm(x: Array, weight: Array | None, bias: Array | None, eps: float) -> WithExtras:
    xp, layout = namespace(x), layout_of(x)
    c, parts = layout.channels, layout.parts
    x = layout.lying(x)
    weight, bias = [None if v is None else contiguous(v) for v in (weight, bias)]
    partial = xp.empty((4, c, parts), dtype=x.dtype)
    mean, variance = xp.empty(c, dtype=x.dtype), xp.empty(c, dtype=x.dtype)
    stats, y = xp.empty((3, c), dtype=x.dtype), xp.empty_like(x)
    run(layout, "", (partial, x), layout.sizes)
    cuda_function(FILE, f"batch_norm_finish_{suffix(x)}")(
        (-(-c // 4),),
        (128,),
        (mean, variance, stats, partial, int32(c), int32(parts), as_computed(eps, x)),
    )
    run(layout, "_apply", (y, x, None, stats, weight, bias, None), layout.applied(x))
    return WithExtras((layout.shown(y), mean, variance), Left(stats))


@cuda_kernel("BatchNorm.backward", accepts=has_gradient)
def batch_norm_backward(
    g: Array,
    g_mean: None,
    g_variance: None,
    x: Array,
    weight: Array | None,
    bias: Array | None,
    eps: float,
    left: Left,
    needs_input_grad: Sequence[bool],
) -> tuple[Array | None, Array | None, Array | None, None]:
    need_x, need_weight, need_bias = needs_input_grad[:3]
    layout = layout_of(x)
    c, parts = layout.channels, layout.parts
    x, g = layout.lying(x), layout.lying(g)
    xp = namespace(x)
    partial = xp.empty((2, c, parts), dtype=x.dtype)
    run(layout, "_backward", (partial, x, g, left.stats), layout.sizes)
    sums = sum_of_rows("sum", partial, (2 * c, parts, 1), parts, 1.0, x.dtype).reshape(2, c)
    dx = None
    if need_x:
        weight = None if weight is None else contiguous(weight)
        dx = xp.empty_like(x)
        run(layout, "_apply", (dx, x, g, left.stats, weight, None, sums), layout.applied(x))
        dx = layout.shown(dx)
    return dx, sums[0] if need_weight else None, sums[1] if need_bias else None, None


def run(
    layout: Planes | Columns, step: str, arrays: tuple[Array | None, ...], sizes: tuple[Any, ...]
) -> None:
    """Launch one of the kernels of a layout."""
    name = f"{layout.kind}{step}_{suffix(arrays[1])}"  # type: ignore[arg-type]
    cuda_function(FILE, name)(layout.grid, layout.block, (*arrays, *sizes))
