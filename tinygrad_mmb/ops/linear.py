"""The affine map of a layer: one matrix product and a sum, and perhaps the activation after it.

`nn.Sequential` calls linear_relu and linear_gelu where it meets such a pair of layers: as one op,
one kernel can do both, while the numbers are at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.fused import Fused
from tinygrad_mmb.autograd.promotion import floats_only
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.registry import WithExtras
from tinygrad_mmb.ops.activation import Gelu, through_gelu, through_relu
from tinygrad_mmb.ops.dimensions import require_tensor

__all__ = ["linear"]


class Linear(Fused):
    """y = x Wᵀ + b.   ∂L/∂x = g W,   ∂L/∂W = gᵀ x,   ∂L/∂b = Σ g, over the rows of all batches."""

    @staticmethod
    def definition(x: Any, weight: Any, bias: Any) -> Any:
        y = ops.matmul(x, ops.t(weight))
        return y if bias is None else y + bias

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*factors(ctx, inputs))

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return gradients(ctx, g, *ctx.saved_tensors)

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        weight, bias = rng.standard_normal((3, n)), rng.standard_normal(3)
        yield rng.standard_normal((n, n)), weight, bias
        yield rng.standard_normal((n, n)), weight, None
        yield rng.standard_normal(n), weight, bias
        yield rng.standard_normal((2, n, n)).swapaxes(1, 2), weight, bias


class LinearRelu(Fused):
    """y = max(z, 0) with z = x Wᵀ + b.   ∂L/∂z = g where y > 0, else 0; then as Linear."""

    @staticmethod
    def definition(x: Any, weight: Any, bias: Any) -> Any:
        return ops.relu(Linear.definition(x, weight, bias))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*factors(ctx, inputs), output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, weight, y = ctx.saved_tensors
        return gradients(ctx, through_relu(g, y), x, weight)

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield from Linear.samples(rng, n)


class LinearGelu(Fused):
    """y = z · Φ(z) with z = x Wᵀ + b.   ∂L/∂z = g · (Φ + z · Φ'); then as Linear.

    z is the second output, for the way back starts from it; `linear_gelu` hands on y alone. Φ and
    `approximate` as in Gelu.
    """

    @staticmethod
    def definition(x: Any, weight: Any, bias: Any, approximate: str) -> Any:
        z = Linear.definition(x, weight, bias)
        return ops.gelu(z, approximate=approximate), z

    @staticmethod
    def forward(x: Array, weight: Array, bias: Array | None, approximate: str) -> Any:
        z = Linear.definition(x, weight, bias)
        y, phi = Gelu.forward(z, approximate)
        return WithExtras((y, z), phi)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*factors(ctx, inputs), output[1], inputs[3])

    @staticmethod
    def backward(ctx: Any, g: Any, g_z: Any) -> Any:
        x, weight, z, approximate = ctx.saved_tensors
        gz = g_z
        if g is not None:
            gz = ops.to(through_gelu(ctx, g, z, approximate), z.dtype)
            gz = gz if g_z is None else gz + g_z
        return *gradients(ctx, gz, x, weight), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        for k, args in enumerate(Linear.samples(rng, n)):
            yield *args, ("none", "tanh")[k % 2]


def factors(ctx: Any, inputs: tuple[Any, ...]) -> tuple[Any, Any]:
    """x and W, each if the other's gradient is wanted: what the way back needs of the inputs."""
    (x, weight, *_), (need_x, need_weight, *_) = inputs, ctx.needs_input_grad
    return x if need_weight else None, weight if need_x else None


def gradients(ctx: Any, g: Any, x: Any, weight: Any) -> tuple[Any, Any, Any]:
    """Those of x, W and b from g = ∂L/∂(x Wᵀ + b)."""
    need_x, need_weight, need_bias, *_ = ctx.needs_input_grad
    gx = ops.matmul(g, weight) if need_x else None
    gw = None
    if need_weight:
        rows = g if g.ndim == 2 else ops.reshape(g, (-1, g.shape[-1]))
        x = x if x.ndim == 2 else ops.reshape(x, (-1, x.shape[-1]))
        gw = ops.matmul(ops.t(rows), x)
    return gx, gw, g if need_bias else None


def linear(input: X, weight: X, bias: X | None = None) -> X:
    """y = x Wᵀ + b.

    Shapes: input (..., in_features), weight (out_features, in_features), bias (out_features,)
    → (..., out_features).
    Raises: RuntimeError where shapes or dtypes do not fit.
    """
    require_affine(input, weight, bias)
    if weight.ndim == 1:
        return ops.matmul(input, weight)
    return Linear.apply(input, weight, bias)


def linear_relu(input: X, weight: X, bias: X | None = None) -> X:
    """relu(linear(input, weight, bias)) as one op."""
    require_affine(input, weight, bias)
    if weight.ndim == 1:
        return ops.relu(ops.matmul(input, weight))
    return LinearRelu.apply(input, weight, bias)


def linear_gelu(input: X, weight: X, bias: X | None = None, *, approximate: str = "none") -> X:
    """gelu(linear(input, weight, bias), approximate=approximate) as one op."""
    require_affine(input, weight, bias)
    if weight.ndim == 1 or approximate not in ("none", "tanh"):  # others are gelu's to refuse
        return ops.gelu(linear(input, weight, bias), approximate=approximate)
    floats_only([input])
    return LinearGelu.apply(input, weight, bias, approximate)[0]


def require_affine(input: Any, weight: Any, bias: Any) -> None:
    """Raise what PyTorch's linear raises, with sizes."""
    require_tensor("linear", input)
    x: tuple[int, ...] = tuple(input.shape)
    w: tuple[int, ...] = tuple(weight.shape)
    if not input.ndim or not weight.ndim:
        raise RuntimeError(
            f"linear: both arguments need to be at least 1D, but they are {x} and {w}"
        )
    if weight.ndim > 2 or (weight.ndim == 1 and bias is not None):
        raise RuntimeError(f"linear: weight must be a matrix (out, in), but its shape is {w}")
    if x[-1] != w[-1]:
        raise RuntimeError(
            f"linear: x has shape {x}, so its last dimension is {x[-1]}, but weight {w} expects "
            f"{w[-1]}. Flatten x first, or build Linear({x[-1]}, {w[0]})"
        )
    if isinstance(weight, Tensor) and not isinstance(input, Tensor):
        raise TypeError("linear(): input is an array and weight a Tensor. Wrap it: tensor(input)")
    dtypes = [v.dtype for v in (input, weight, bias) if v is not None]
    if len(set(dtypes)) > 1:
        raise RuntimeError(
            "linear: x, weight and bias must have the same dtype, but got "
            f"{', '.join(map(str, dtypes))}. Convert with x.to(dtype) or module.to(dtype)"
        )
    if input.dtype.kind == "b":
        raise NotImplementedError("linear: not implemented for bool; use x.to(float32)")
    if bias is not None:
        fits = all(b in (1, n) for b, n in zip(bias.shape[::-1], (w[0], *x[-2::-1]), strict=False))
        if not fits or bias.ndim > max(input.ndim, 1):
            raise RuntimeError(
                f"linear: expected bias of shape ({w[0]},), but got {tuple(bias.shape)}"
            )
