"""Normalisation: subtract the mean, divide by the standard deviation, scale and shift."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.fused import Fused
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import Array, float16, float32
from tinygrad_mmb.ops.dimensions import require_tensor
from tinygrad_mmb.ops.writing import unchanged

__all__ = ["batch_norm", "layer_norm"]


class BatchNorm(Fused):
    """y = (x - μ) / √(σ² + ε) · weight + bias, with μ, σ² per channel over the batch.

    Returns (y, μ, σ²). With x̂ the normalised x, n the values per channel and g' = g · weight:
    ∂L/∂x = (g' - mean g' - x̂ · mean (g' x̂)) / √(σ² + ε),
    ∂L/∂weight = Σ g x̂,   ∂L/∂bias = Σ g. The last two terms are what flows through μ and σ².
    """

    @staticmethod
    def definition(x: Any, weight: Any, bias: Any, eps: float) -> Any:
        mean, variance, normal = normalised(x, channel_dims(x), eps)
        y = affine(normal, weight, bias)
        return y, ops.reshape(mean, (x.shape[1],)), ops.reshape(variance, (x.shape[1],))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gs: Any) -> Any:
        g, g_mean, g_variance = gs
        if g is None or g_mean is not None or g_variance is not None:
            return Fused.backward(ctx, *gs)  # the rule above is for y alone
        x, weight, _, eps = ctx.saved_tensors
        need_x, need_weight, need_bias, _ = ctx.needs_input_grad
        dims = channel_dims(x)
        _, variance, normal = normalised(x, dims, eps)
        gx = gw = gb = None
        if need_x:
            g_normal = affine(g, weight, None)
            along = normal * ops.mean(g_normal * normal, dims, True)
            gx = (g_normal - ops.mean(g_normal, dims, True) - along) * (variance + eps) ** -0.5
        if need_weight:
            gw = ops.sum(g * normal, dims)
        if need_bias:
            gb = ops.sum(g, dims)
        return gx, gw, gb, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        weight, bias = rng.standard_normal(3), rng.standard_normal(3)
        yield rng.standard_normal((n, 3)), weight, bias, 1e-5
        yield rng.standard_normal((n, 3, 2)), weight, None, 1e-5
        yield rng.standard_normal((2, 2, 3, n)).swapaxes(1, 2), None, None, 0.1


class LayerNorm(Fused):
    """y = (x - μ) / √(σ² + ε) · weight + bias, with μ, σ² over a sample's last `k` dimensions.

    The way back is that of BatchNorm with other dimensions.
    """

    contiguous = True

    @staticmethod
    def definition(x: Any, weight: Any, bias: Any, k: int, eps: float) -> Any:
        _, _, y = normalised(x, tuple(range(x.ndim - k, x.ndim)), eps)
        y = y if weight is None else y * weight
        return y if bias is None else y + bias

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, weight, bias, ctx.k, ctx.eps = inputs
        ctx.save_for_backward(x, weight, bias)  # the bias only because PyTorch does

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x, weight, _), needs = ctx.saved_tensors, ctx.needs_input_grad
        need_x, need_weight, need_bias, *_ = needs
        dims = tuple(range(x.ndim - ctx.k, x.ndim))
        _, variance, normal = normalised(x, dims, ctx.eps)
        gx = None
        if need_x:
            g_normal = g if weight is None else g * weight
            along = normal * ops.mean(g_normal * normal, dims, True)
            gx = (g_normal - ops.mean(g_normal, dims, True) - along) * (variance + ctx.eps) ** -0.5
        gw = g * normal if need_weight else None  # the engine sums both over the samples
        return gx, gw, g if need_bias else None, None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, 3)), rng.standard_normal(3), rng.standard_normal(3), 1, 1e-5
        yield rng.standard_normal((2, n, 3)), rng.standard_normal((n, 3)), None, 2, 1e-5
        yield rng.standard_normal((3, n)).T, None, None, 1, 0.1


def normalised(x: Any, dims: tuple[int, ...], eps: float) -> tuple[Any, Any, Any]:
    """(μ, σ², (x - μ) / √(σ² + ε)) over some dimensions, which stay with size 1. σ² is biased."""
    mean = ops.mean(x, dims, True)
    centred = x - mean
    variance = ops.mean(centred * centred, dims, True)
    return mean, variance, centred * (variance + eps) ** -0.5


def channel_dims(x: Any) -> tuple[int, ...]:
    """All dimensions but that of the channels."""
    return (0, *range(2, x.ndim))


def affine(y: Any, weight: Any, bias: Any) -> Any:
    """y · weight + bias, per channel (dimension 1)."""
    shape = (1, y.shape[1], *[1] * (y.ndim - 2))
    y = y if weight is None else y * ops.reshape(weight, shape)
    return y if bias is None else y + ops.reshape(bias, shape)


def batch_norm(
    input: X,
    running_mean: X | None,
    running_var: X | None,
    weight: X | None = None,
    bias: X | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> X:
    """Normalise each channel of input (N, C, ...) over the batch, or by the running statistics.

    In training the statistics move: running ← (1 - momentum) · running + momentum · batch, with the
    biased σ² for normalising and the unbiased one for running_var (Ioffe and Szegedy, 2015).
    Raises: ValueError for one value per channel in training; RuntimeError where shapes, dtypes or
    missing statistics do not fit.
    """
    require_tensor("batch_norm", input, error=AttributeError)
    where = f"batch_norm of input {tuple(input.shape)}"
    if eps < 0.0:
        raise ValueError(f"{where}: eps must be non-negative, but got {eps}")
    if training:
        check_batch(where, input, running_mean, running_var, momentum, eps)
    check_statistics(where, input, running_mean, running_var, weight, bias, training)
    if input.dtype == float16:
        y = of_batch(
            wider(input),
            running_mean,
            running_var,
            wider(weight),
            wider(bias),
            training,
            momentum,
            eps,
        )
        return ops.to(y, float16)
    return of_batch(input, running_mean, running_var, weight, bias, training, momentum, eps)


def of_batch(
    x: Any, mean: Any, var: Any, weight: Any, bias: Any, training: bool, momentum: float, eps: float
) -> Any:
    """batch_norm of checked arguments."""
    if not training:
        shape = (1, x.shape[1], *[1] * (x.ndim - 2))
        scale = ops.reshape((ops.to(var, x.dtype) + eps) ** -0.5, shape)
        y = affine((x - ops.reshape(ops.to(mean, x.dtype), shape)) * scale, weight, bias)
        return unchanged(y, x, mean, var)
    if not math.prod(x.shape):
        return affine(x * 1.0, weight, bias)
    y, batch_mean, batch_var = BatchNorm.apply(x, weight, bias, eps)
    n = math.prod(x.shape) // x.shape[1]
    if mean is not None:
        move(mean, batch_mean, momentum)
        move(var, batch_var * (n / (n - 1)), momentum)
    return y


def move(running: Any, batch: Any, momentum: float) -> None:
    """running ← (1 - momentum) · running + momentum · batch, in place and unrecorded."""
    target: Array = getattr(running, "array", running)
    target[...] = (1 - momentum) * target + momentum * getattr(batch, "array", batch)
    if isinstance(running, Tensor):
        running.memory.touch()


def check_batch(where: str, x: Any, mean: Any, var: Any, momentum: Any, eps: float) -> None:
    """Raise where statistics of the batch cannot be taken."""
    if isinstance(momentum, bool) or not isinstance(momentum, (int, float)):
        raise TypeError(
            f"{where}: argument 'momentum' must be float, not {type(momentum).__name__}"
        )
    if eps <= 0.0:
        raise ValueError(f"{where}: eps must be positive during training, but got {eps}")
    if (mean is None) != (var is None):
        raise ValueError(f"{where}: running_mean and running_var must both be None or neither")
    if x.ndim < 2:
        raise ValueError(f"{where}: expected (N, C, ...)")
    if math.prod(x.shape[:1] + x.shape[2:]) == 1:
        raise ValueError(
            f"{where}: expected more than 1 value per channel when training: the variance of one "
            "number is 0. Use a larger batch, or eval()"
        )


def check_statistics(
    where: str, x: Any, mean: Any, var: Any, weight: Any, bias: Any, training: bool
) -> None:
    """Raise where the vectors per channel do not fit the input."""
    if not training and (mean is None or var is None):
        missing = "running_mean" if mean is None else "running_var"
        raise RuntimeError(
            f"{where}: {missing} must be defined in evaluation mode (training=False)"
        )
    if x.ndim < 2:
        raise RuntimeError(f"{where}: expected (N, C, ...)")
    if x.dtype.kind != "f":
        raise NotImplementedError(f"{where}: not implemented for {x.dtype}; use x.to(float32)")
    named = (("running_mean", mean), ("running_var", var), ("weight", weight), ("bias", bias))
    for name, v in named:
        if v is None:
            continue
        if tuple(v.shape) != (x.shape[1],):
            raise RuntimeError(
                f"{where}: {name} should contain {x.shape[1]} elements, one per channel, not "
                f"{tuple(v.shape)}. Build the layer for {x.shape[1]} features"
            )
        if name.startswith("running") and getattr(v, "requires_grad", False):
            raise NotImplementedError(f"{where}: not differentiable with respect to {name}")
    check_dtypes(where, x, named)


def check_dtypes(where: str, x: Any, named: Any) -> None:
    """Raise unless all have the dtype of the input; float16 also goes with float32 throughout."""
    dtypes = {v.dtype for _, v in named if v is not None}
    if dtypes <= {x.dtype} or (x.dtype == float16 and dtypes == {float32}):
        return
    listed = ", ".join(f"{name} {v.dtype}" for name, v in named if v is not None)
    raise NotImplementedError(
        f"{where}: mixed dtypes: input {x.dtype}, {listed}. Convert with x.to(dtype) or "
        "module.to(dtype)"
    )


def wider(x: Any) -> Any:
    """x in float32: the squares of float16 numbers overflow beyond 255."""
    return None if x is None else ops.to(x, float32)


def layer_norm(
    input: X,
    normalized_shape: tuple[int, ...] | list[int],
    weight: X | None = None,
    bias: X | None = None,
    eps: float = 1e-5,
) -> X:
    """Normalise each sample over its last dimensions, those of `normalized_shape`.

    Shapes: input (..., *normalized_shape); weight, bias normalized_shape.
    Raises: RuntimeError where they do not fit; TypeError for a bare int.
    """
    if not isinstance(normalized_shape, (tuple, list)):
        raise TypeError(
            "layer_norm: normalized_shape must be a tuple of ints, not "
            f"{type(normalized_shape).__name__}; write ({normalized_shape},)"
        )
    require_tensor("layer_norm", input)
    shape = tuple(normalized_shape)
    where = f"layer_norm of input {tuple(input.shape)}, normalized_shape={list(shape)}"
    if not shape:
        raise RuntimeError(f"{where}: expected normalized_shape to have at least one element")
    for name, v in (("weight", weight), ("bias", bias)):
        if v is not None and tuple(v.shape) != shape:
            raise RuntimeError(f"{where}: expected {name} of that shape, but got {tuple(v.shape)}")
    if tuple(input.shape[-len(shape) :]) != shape:
        raise RuntimeError(
            f"{where}: expected input with shape "
            f"[*, {', '.join(map(str, shape))}]. Build LayerNorm for the last sizes of the input"
        )
    if input.dtype.kind != "f":
        raise NotImplementedError(f"{where}: not implemented for {input.dtype}; use x.to(float32)")
    check_dtypes(where, input, (("weight", weight), ("bias", bias)))
    if input.dtype == float16:
        wide = layer_norm(wider(input), shape, wider(weight), wider(bias), eps)
        return ops.to(wide, float16)
    if not math.prod(input.shape):
        y = input * 1.0 if weight is None else input * weight
        return y if bias is None else y + bias
    return LayerNorm.apply(input, weight, bias, len(shape), eps)
