"""Layer normalisation and its gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from tinygrad_mmb.backend import Array, float32, float64, namespace
from tinygrad_mmb.kernels.cuda.reduction import as_computed, columns
from tinygrad_mmb.kernels.launch import (
    contiguous,
    cuda_function,
    cuda_kernel,
    int32,
    is_float,
    suffix,
)
from tinygrad_mmb.kernels.launch.rows import (
    LONGEST,
    PACK,
    plan_rows,
    power_of_two,
    shared_memory,
)
from tinygrad_mmb.kernels.registry import WithExtras

FILE = "layer_norm.cu"
HELD = {2: 2, 4: 6, 8: 4}  # packs that a thread keeps in registers, by bytes of a number
HELD_BACKWARD = {2: 2, 4: 4, 8: 4}  # of x and g; and as many sums for the weights and biases
BLOCKS = 264  # that stay and walk over the rows: two on each multiprocessor of an H100
CHUNK = 128  # rows whose sums one block makes, where rows are too long for that


class Left(NamedTuple):
    """What forward leaves for the way back: (mean, correction, 1 / √(σ² + ε)) of each row."""

    stats: Array
    cols: int


class BackwardPlan(NamedTuple):
    """A launch of the kernel that makes all three gradients."""

    kind: str
    team: int
    threads: int

    def blocks(self, rows: int) -> int:
        """Few enough for their partial sums to be small beside the rows."""
        wanted = BLOCKS * 2 if self.threads <= 128 else BLOCKS
        return min(wanted, -(-rows * self.team // self.threads))


def has_rows(x: Array, weight: Array | None, bias: Array | None, k: int, eps: float) -> bool:
    """Whether x has something in each of its rows, and weights of the same dtype."""
    shape = x.shape[x.ndim - k :]
    fits = all(v is None or v.shape == shape for v in (weight, bias))
    return is_float(x, weight, bias) and fits and x.size > 0 and max_rows(x, shape) < LONGEST


def max_rows(x: Array, shape: tuple[int, ...]) -> int:
    """The larger of the number of rows and of their length."""
    cols = math.prod(shape)
    return max(cols, x.size // cols)


@cuda_kernel("LayerNorm", accepts=has_rows)
def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, k: int, eps: float
) -> WithExtras:
    xp = namespace(x)
    x, weight, bias = contiguous(x), in_rows(weight), in_rows(bias)
    cols = math.prod(x.shape[x.ndim - k :])
    rows = x.size // cols
    y = xp.empty_like(x)
    stats = xp.empty((3, rows), dtype=float64 if x.itemsize == 8 else float32)
    plan = plan_rows(cols, x.itemsize, HELD[x.itemsize], shared_memory(x))
    sizes = int32(rows), int32(cols), int32(plan.team), int32(plan.slots)
    cuda_function(FILE, f"layer_norm_rows_{plan.kind}_{suffix(x)}")(
        plan.grid(rows),
        (plan.threads,),
        (y, stats, x, weight, bias, as_computed(eps, x), *sizes),
        plan.shared,
    )
    return WithExtras(y, Left(stats, cols))


@cuda_kernel(
    "LayerNorm.backward",
    accepts=lambda g, x, weight, bias, left, **options: is_float(g, x) and g.shape == x.shape,
)
def layer_norm_backward(
    g: Array,
    x: Array,
    weight: Array | None,
    bias: Array | None,
    left: Left,
    needs_input_grad: Sequence[bool],
) -> tuple[Array | None, Array | None, Array | None, None, None]:
    need_x, need_weight, need_bias = needs_input_grad[:3]
    g, x, weight = contiguous(g), contiguous(x), in_rows(weight)
    dx = namespace(x).empty_like(x) if need_x else None
    plan = plan_backward(left.cols, x.itemsize)
    sums = None
    if not (need_weight or need_bias):
        input_gradient(dx, g, x, weight, left)
    elif plan is not None:
        sums = all_gradients(plan, dx, g, x, weight, left)
    else:
        if dx is not None:
            input_gradient(dx, g, x, weight, left)
        sums = weight_gradients(g, x, left)
    dweight = dbias = None
    if need_weight and weight is not None and sums is not None:
        dweight = sums[0].reshape(weight.shape)
    if need_bias and bias is not None and sums is not None:
        dbias = sums[1].reshape(bias.shape)
    return dx, dweight, dbias, None, None


def in_rows(v: Array | None) -> Array | None:
    """A weight or bias as the kernels read it."""
    return None if v is None else contiguous(v)


def plan_backward(cols: int, itemsize: int) -> BackwardPlan | None:
    """How rows are shared out where registers hold them, their weights' and their biases' sums."""
    packs, held = -(-cols * itemsize // PACK), HELD_BACKWARD[itemsize]
    if packs <= 32 * held:
        return BackwardPlan("block", max(8, min(32, power_of_two(packs))), 256)
    if packs <= 64 * held:
        return BackwardPlan("warp", 32, 256)
    if packs <= 512 * held:
        threads = 32 * -(-packs // (32 * held))
        return BackwardPlan("block", threads, threads)
    return None


def all_gradients(
    plan: BackwardPlan, dx: Array | None, g: Array, x: Array, weight: Array | None, left: Left
) -> Array:
    """Write ∂L/∂x, and return (∂L/∂weight, ∂L/∂bias) as (2, cols)."""
    rows = x.size // left.cols
    blocks = plan.blocks(rows)
    partial = namespace(x).empty((2, blocks, left.cols), dtype=left.stats.dtype)
    sizes = int32(rows), int32(left.cols), int32(plan.team)
    several = plan.threads > plan.team
    cuda_function(FILE, f"layer_norm_backward_{plan.kind}_{suffix(x)}")(
        (blocks,),
        (plan.threads,),
        (dx, partial, g, x, weight, left.stats, *sizes),
        2 * left.cols * partial.itemsize if several else 0,
    )
    return added(partial, x)


def input_gradient(dx: Array | None, g: Array, x: Array, weight: Array | None, left: Left) -> None:
    """Write ∂L/∂x alone."""
    rows = x.size // left.cols
    plan = plan_rows(left.cols, x.itemsize, HELD_BACKWARD[x.itemsize], largest=512)
    sizes = int32(rows), int32(left.cols), int32(plan.team)
    cuda_function(FILE, f"layer_norm_backward_input_{plan.kind}_{suffix(x)}")(
        plan.grid(rows), (plan.threads,), (dx, g, x, weight, left.stats, *sizes)
    )


def weight_gradients(g: Array, x: Array, left: Left) -> Array:
    """(∂L/∂weight, ∂L/∂bias) as (2, cols), of rows that are too long to be kept."""
    rows = x.size // left.cols
    parts = min(-(-rows // CHUNK), 1024)
    chunk = -(-rows // parts)
    parts = -(-rows // chunk)
    partial = namespace(x).empty((2, parts, left.cols), dtype=left.stats.dtype)
    cuda_function(FILE, f"layer_norm_backward_weights_{suffix(x)}")(
        (-(-left.cols // 32), parts),
        (32, 8),
        (partial, g, x, left.stats, int32(rows), int32(left.cols), int32(chunk)),
    )
    return added(partial, x)


def added(partial: Array, x: Array) -> Array:
    """Partial sums (2, parts, cols), added up to (2, cols) in the dtype of x."""
    _, parts, cols = partial.shape
    return columns("sum", partial, (2, parts, cols), parts, 1.0, x.dtype).reshape(2, cols)
