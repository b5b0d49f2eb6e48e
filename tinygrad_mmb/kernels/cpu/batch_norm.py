"""Batch normalisation and its gradients, in NCHW, NHWC and NC."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.cpu.native import are_floats, cpu_kernel, native
from tinygrad_mmb.kernels.launch import contiguous
from tinygrad_mmb.kernels.registry import WithExtras


class Left(NamedTuple):
    """What forward leaves for the way back."""

    mean: Array
    scale: Array  # 1 / √(σ² + ε)


def has_channels(x: Array, weight: Array | None, bias: Array | None, eps: float) -> bool:
    """Whether x is (N, C, ...) and not empty, in float32 or float64 as weight and bias are."""
    return x.ndim > 1 and x.size > 0 and are_floats(x, weight, bias)


def has_gradient(
    g: Array | None, g_mean: Any, g_variance: Any, x: Array, *saved: Any, needs_input_grad: Any
) -> bool:
    """Whether y alone was used: the kernels know no gradients of μ and σ²."""
    return g is not None and g_mean is None and g_variance is None and are_floats(g, x)


@cpu_kernel("BatchNorm", accepts=has_channels)
def batch_norm(x: Array, weight: Array | None, bias: Array | None, eps: float) -> WithExtras:
    xp, channels = namespace(x), x.shape[1]
    x, back, plane = lying(x)
    y = xp.empty(x.shape, x.dtype)
    mean, variance, scale = xp.empty((3, channels), x.dtype)
    factors = [None if v is None else contiguous(v) for v in (weight, bias)]
    native.batch_norm(y, mean, variance, scale, x, *factors, channels, plane, eps)
    return WithExtras((y.transpose(back) if back else y, mean, variance), Left(mean, scale))


@cpu_kernel("BatchNorm.backward", accepts=has_gradient)
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
    need_x, need_weight, need_bias, _ = needs_input_grad
    x, back, plane = lying(x)
    g = contiguous(g.transpose([back.index(d) for d in range(g.ndim)]) if back else g)
    xp, channels = namespace(x), left.mean.size
    dx = xp.empty(x.shape, x.dtype) if need_x else None
    dweight, dbias = xp.empty(channels, x.dtype), xp.empty(channels, x.dtype)
    weight = None if weight is None else contiguous(weight)
    native.batch_norm_backward(
        *(dx, dweight, dbias, g, x, weight, left.mean, left.scale, channels, plane)
    )
    if back and dx is not None:
        dx = dx.transpose(back)
    return dx, dweight if need_weight else None, dbias if need_bias else None, None


def lying(x: Array) -> tuple[Array, list[int], int]:
    """(x as it lies, how to transpose it back, values of a channel that lie together).

    Channels last stay so; what lies in another way is copied to NCHW.
    """
    plane = math.prod(x.shape[2:])
    if plane == 1 or x.flags.c_contiguous:
        return contiguous(x), [], plane
    last = x.transpose(0, *range(2, x.ndim), 1)
    if last.flags.c_contiguous:
        return last, [0, x.ndim - 1, *range(1, x.ndim - 1)], 1
    return contiguous(x), [], plane
