"""Batch normalisation of x (N, C, P): P pixels of C channels in N images.

    y = (x - μ) / √(σ² + ε) · weight + bias,    μ, σ² per channel, over N and P
    ∂L/∂x = weight / √(σ² + ε) · (g - mean g - x̂ · mean (g x̂)),    x̂ = (x - μ) / √(σ² + ε)
    ∂L/∂weight = Σ g x̂,    ∂L/∂bias = Σ g

Three walks over x there (mean, variance, y), two walks over x and g back, all in the order of
memory; NumPy takes about 8 and 15, each with an array of its own. Sums are kept in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array, float64, namespace
from tinygrad_mmb.kernels.launch.arguments import contiguous, is_float
from tinygrad_mmb.kernels.numba.compile import jit, jit_sums, numba_kernel
from tinygrad_mmb.kernels.registry import WithExtras


@jit_sums
def sum_of_channels(total: Any, x: Any) -> None:
    images, channels, pixels = x.shape
    for n in range(images):
        for c in range(channels):
            here = 0.0
            for p in range(pixels):
                here += x[n, c, p]
            total[c] += here


@jit_sums
def squares_of_channels(total: Any, x: Any, mean: Any) -> None:
    images, channels, pixels = x.shape
    for n in range(images):
        for c in range(channels):
            here = 0.0
            for p in range(pixels):
                centred = x[n, c, p] - mean[c]  # Σ x² - n μ² would cancel where μ is large
                here += centred * centred
            total[c] += here


@jit_sums
def gradients_of_channels(gw: Any, gb: Any, x: Any, g: Any, mean: Any, inverse: Any) -> None:
    images, channels, pixels = x.shape
    for n in range(images):
        for c in range(channels):
            along = sum_g = 0.0
            for p in range(pixels):
                along += g[n, c, p] * (x[n, c, p] - mean[c])
                sum_g += g[n, c, p]
            gw[c] += along * inverse[c]
            gb[c] += sum_g


@jit
def normalise(y: Any, x: Any, mean: Any, scale: Any, bias: Any) -> None:
    images, channels, pixels = x.shape
    for n in range(images):
        for c in range(channels):
            for p in range(pixels):
                y[n, c, p] = (x[n, c, p] - mean[c]) * scale[c] + bias[c]


@jit
def normalise_backward(
    dx: Any, x: Any, g: Any, mean: Any, scale: Any, mean_g: Any, along: Any
) -> None:
    images, channels, pixels = x.shape
    for n in range(images):
        for c in range(channels):
            for p in range(pixels):
                centred = x[n, c, p] - mean[c]
                dx[n, c, p] = scale[c] * (g[n, c, p] - mean_g[c] - centred * along[c])


def has_channels(x: Array, weight: Array | None, bias: Array | None, eps: float) -> bool:
    """Whether x is (N, C, ...) with several pixels, in float32 or float64, as weight and bias are.

    Of one pixel, as in (N, C), the loop over pixels would be one number long: NumPy is faster.
    """
    if (
        not is_float(x, weight, bias, wide=True)
        or x.ndim < 3
        or not x.size > x.shape[0] * x.shape[1]
    ):
        return False
    return all(v is None or v.shape == (x.shape[1],) for v in (weight, bias))


def has_gradient(
    g: Array | None, g_mean: Any, g_variance: Any, x: Array, *saved: Any, needs_input_grad: Any
) -> bool:
    """Whether y alone was used: the loops know no gradients of μ and σ²."""
    return g is not None and g_mean is None and g_variance is None and is_float(g, x, wide=True)


def planes(x: Array) -> Array:
    """x as (N, C, P)."""
    return contiguous(x).reshape(x.shape[0], x.shape[1], -1)


@numba_kernel("BatchNorm", accepts=has_channels)
def batch_norm(x: Array, weight: Array | None, bias: Array | None, eps: float) -> WithExtras:
    xp, shape, dtype = namespace(x), x.shape, x.dtype
    x = planes(x)
    count, total = x.size // x.shape[1], xp.zeros((2, x.shape[1]), float64)
    sum_of_channels(total[0], x)
    mean = (total[0] / count).astype(dtype)
    squares_of_channels(total[1], x, mean)
    variance = total[1] / count
    inverse = (1.0 / xp.sqrt(variance + eps)).astype(dtype)
    scale = inverse if weight is None else inverse * weight
    shift = xp.zeros_like(mean) if bias is None else contiguous(bias)
    y = xp.empty_like(x)
    normalise(y, x, mean, scale, shift)
    return WithExtras((y.reshape(shape), mean, variance.astype(dtype)), (mean, inverse))


@numba_kernel("BatchNorm.backward", accepts=has_gradient)
def batch_norm_backward(
    g: Array,
    g_mean: None,
    g_variance: None,
    x: Array,
    weight: Array | None,
    bias: Array | None,
    eps: float,
    left: tuple[Array, Array],
    needs_input_grad: Sequence[bool],
) -> tuple[Array | None, Array | None, Array | None, None]:
    (need_x, need_weight, need_bias, _), (mean, inverse) = needs_input_grad, left
    xp, shape, dtype = namespace(x), x.shape, x.dtype
    x, g = planes(x), planes(g)
    count, (gw, gb) = x.size // x.shape[1], xp.zeros((2, x.shape[1]), float64)
    gradients_of_channels(gw, gb, x, g, mean, inverse)
    dx = None
    if need_x:
        dx = xp.empty_like(x)
        scale = inverse if weight is None else inverse * weight
        means = [(gb / count).astype(dtype), (gw * inverse / count).astype(dtype)]
        normalise_backward(dx, x, g, mean, scale, *means)
        dx = dx.reshape(shape)
    return (
        dx,
        gw.astype(dtype) if need_weight else None,
        gb.astype(dtype) if need_bias else None,
        None,
    )
