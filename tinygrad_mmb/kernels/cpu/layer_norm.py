"""Layer normalisation and its gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.cpu.native import are_floats, cpu_kernel, native
from tinygrad_mmb.kernels.launch import contiguous
from tinygrad_mmb.kernels.registry import WithExtras

PART = 65536  # numbers whose sums one thread makes: some 50 microseconds


class Left(NamedTuple):
    """What forward leaves for the way back, of each row."""

    mean: Array
    scale: Array  # 1 / √(σ² + ε)


def has_rows(x: Array, weight: Array | None, bias: Array | None, k: int, eps: float) -> bool:
    """Whether x is not empty, in float32 or float64 as weight and bias are."""
    return x.size > 0 and are_floats(x, weight, bias)


@cpu_kernel("LayerNorm", accepts=has_rows)
def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, k: int, eps: float
) -> WithExtras:
    xp, x = namespace(x), contiguous(x)
    y, rows = xp.empty(x.shape, x.dtype), math.prod(x.shape[: x.ndim - k])
    mean, scale = xp.empty((2, rows), x.dtype)
    native.layer_norm(y, mean, scale, x, in_rows(weight), in_rows(bias), eps)
    return WithExtras(y, Left(mean, scale))


@cpu_kernel("LayerNorm.backward", accepts=lambda g, x, *saved, **options: are_floats(g, x))
def layer_norm_backward(
    g: Array,
    x: Array,
    weight: Array | None,
    bias: Array | None,
    left: Left,
    needs_input_grad: Sequence[bool],
) -> tuple[Array | None, Array | None, Array | None, None, None]:
    need_x, need_weight, need_bias, *_ = needs_input_grad
    xp, x = namespace(x), contiguous(x)
    rows = left.mean.size
    cols = x.size // rows
    per_part = max(1, PART // cols)
    dx = xp.empty(x.shape, x.dtype) if need_x else None
    sums = None
    if need_weight or need_bias:
        sums = xp.empty((-(-rows // per_part), 2, cols), x.dtype)
    native.layer_norm_backward(dx, sums, contiguous(g), x, in_rows(weight), *left, per_part)
    dweight = dbias = None
    if sums is not None and weight is not None and need_weight:
        dweight = sums[0, 0].reshape(weight.shape)
    if sums is not None and bias is not None and need_bias:
        dbias = sums[0, 1].reshape(bias.shape)
    return dx, dweight, dbias, None, None


def in_rows(v: Array | None) -> Array | None:
    """A weight or bias as the kernels read it."""
    return None if v is None else contiguous(v)
