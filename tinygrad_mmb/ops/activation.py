"""Activation functions: what stands between two linear maps, so that they are not one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import inplace as writing
from tinygrad_mmb.autograd import promotion
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.fused import Fused
from tinygrad_mmb.autograd.half_precision import widened
from tinygrad_mmb.autograd.method_table import method
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import Array, float16, float32, namespace
from tinygrad_mmb.kernels.registry import WithExtras
from tinygrad_mmb.ops.elementwise import Elementwise

__all__ = ["elu", "gelu", "leaky_relu", "relu", "selu", "silu", "softplus"]


class Activation(Elementwise):
    """A formula for floats only, in x and perhaps some numbers."""

    promotion = promotion.floats_only

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, *ctx.numbers = inputs
        ctx.save_for_backward(x)


class Relu(Elementwise):
    """y = max(x, 0).   ∂L/∂x = g where y > 0, else 0: at 0 too."""

    promotion = promotion.kept

    @staticmethod
    def forward(x: Array) -> Array:
        if x.dtype.kind == "b":
            raise RuntimeError("relu: Boolean inputs not supported. Convert first: x.to(float32).")
        return namespace(x).maximum(0, x)  # in this order, -0 stays -0

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return through_relu(g, y)


class Gate(Function):
    """y = g where the gate is open, else s · g: the gradient of a relu.   ∂L/∂g likewise.

    It names x, on which y depends in steps only: ∂L/∂x = 0 is what makes the second derivative of a
    relu 0, and not a derivative that does not exist.
    """

    @staticmethod
    def forward(g: Array, x: Array, gate: Array, slope: float) -> Array:
        if slope == 0:
            return ops.selection.kept(gate, g)
        return namespace(g).where(gate, g, g * g.dtype.type(slope))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        *_, gate, ctx.slope = inputs
        ctx.save_for_backward(gate)

    @staticmethod
    def backward(ctx: Any, h: Any) -> Any:
        (gate,), (need_g, need_x, *_) = ctx.saved_tensors, ctx.needs_input_grad
        gg = gated(h, h, gate, ctx.slope) if need_g else None
        return gg, ops.selection.flat(h) if need_x else None, None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        x = rng.standard_normal((n, n))
        yield rng.standard_normal((n, n)), x, x > 0, 0.0
        yield rng.standard_normal((n, n)), x, x > 0, 0.1


class LeakyRelu(Activation):
    """y = x where x > 0, else s · x.   ∂L/∂x = g, else s · g."""

    @staticmethod
    def forward(x: Array, slope: float) -> Array:
        return namespace(x).where(x > 0, x, x * x.dtype.type(slope))

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,), (slope,) = ctx.saved_tensors, ctx.numbers
        return gated(g, x, x > 0, slope), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), 0.01


class Elu(Activation):
    """y = s · x where x > 0, else s · α (eˣ - 1).   ∂L/∂x = s · g, else s · α · eˣ · g."""

    @staticmethod
    def forward(x: Array, alpha: float, scale: float) -> Array:
        xp, wide = namespace(x), widened(x)
        low = xp.expm1(xp.minimum(0.0, wide)) * (alpha * scale)  # in this order, -0 stays -0
        return xp.where(wide > 0, wide * scale, low).astype(x.dtype)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,), (alpha, scale) = ctx.saved_tensors, ctx.numbers
        low = ops.exp(ops.where(x < 0, x, 0.0)) * (alpha * scale)  # never overflows
        return g * ops.where(x <= 0, low, scale), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), 1.5, 1.1


class Softplus(Activation):
    """y = ln(1 + e^(βx)) / β, and x itself where βx > threshold.   ∂L/∂x = g · σ(βx), and g."""

    @staticmethod
    def forward(x: Array, beta: float, threshold: float) -> Array:
        xp = namespace(x)
        wide = widened(x)
        z = wide * beta
        soft = xp.log1p(xp.exp(z)) / x.dtype.type(beta)
        return xp.where(z > threshold, wide, soft).astype(x.dtype)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,), (beta, threshold) = ctx.saved_tensors, ctx.numbers
        z = x * beta
        return ops.where(z > threshold, g, g * ops.sigmoid(z)), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield 10.0 * rng.standard_normal((n, n)), 1.0, 20.0
        yield rng.standard_normal((n, n)), 2.0, 1.0


class Gelu(Fused):
    """y = x · Φ(x), with Φ the normal distribution function.   ∂L/∂x = g · (Φ + x · Φ').

    With `approximate` "tanh", Φ is nearly (1 + t) / 2, where t = tanh(√(2/π) (x + 0.044715 x³)).
    Forward leaves Φ for the way back, as an erf costs more than all the rest.
    """

    promotion = promotion.floats_only

    @staticmethod
    def definition(x: Any, approximate: str) -> Any:
        wide = in_float32(x)
        return ops.to(wide * below(wide, approximate), x.dtype)

    @staticmethod
    def forward(x: Array, approximate: str) -> Any:
        wide = in_float32(x)
        phi = below(wide, approximate)
        return WithExtras(ops.to(wide * phi, x.dtype), phi)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, approximate = ctx.saved_tensors
        return through_gelu(ctx, g, x, approximate), None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), "none"
        yield rng.standard_normal((n, 2 * n)).T[::2], "tanh"


class Silu(Fused):
    """y = x · σ(x).   ∂L/∂x = g · σ · (1 + x (1 - σ)).   Forward leaves σ for the way back."""

    promotion = promotion.floats_only

    @staticmethod
    def definition(x: Any) -> Any:
        wide = in_float32(x)
        return ops.to(wide * ops.sigmoid(wide), x.dtype)

    @staticmethod
    def forward(x: Array) -> Any:
        wide = in_float32(x)
        sigma = ops.sigmoid(wide)
        return WithExtras(ops.to(wide * sigma, x.dtype), sigma)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        sigma = ctx.extras
        if ctx.create_graph or sigma is None:
            return Fused.backward(ctx, g)
        return g * (sigma * (1.0 + in_float32(x) * (1.0 - sigma)))

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield (rng.standard_normal((n, n)),)
        yield (rng.standard_normal((n, 2 * n)).T[::2],)


def in_float32(x: Any) -> Any:
    """float16 as float32, recorded if x is."""
    return ops.to(x, float32) if x.dtype == float16 else x


def below(x: Any, approximate: str) -> Any:
    """Φ(x), exactly or nearly."""
    if approximate == "tanh":
        bend = ops.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * (x * x * x)))
    else:
        bend = ops.erf(x * math.sqrt(0.5))
    return 0.5 * (1.0 + bend)


def through_relu(g: Any, y: Any) -> Any:
    """∂L/∂x of y = max(x, 0): g where y > 0, else 0."""
    return gated(g, y, ~(y <= 0), 0.0)  # not y > 0: NaN keeps its gradient


def through_gelu(ctx: Any, g: Any, x: Any, approximate: str) -> Any:
    """∂L/∂x of y = x · Φ(x): g · (Φ + x · Φ'), with the Φ that the op's own forward left.

    Under create_graph Φ is computed again, recorded; so it is where a twin ran, which left none.
    """
    x = in_float32(x)
    phi = below(x, approximate) if ctx.create_graph or ctx.kernel is not None else ctx.extras
    if approximate == "tanh":
        du = math.sqrt(2.0 / math.pi) * (1.0 + 3 * 0.044715 * (x * x))
        slope = 2.0 * phi * (1.0 - phi) * du  # (1 - t²) / 2 · u'
    else:
        slope = ops.exp(-0.5 * (x * x)) * (1.0 / math.sqrt(2.0 * math.pi))
    return g * (phi + x * slope)


def gated(g: Any, x: Any, gate: Any, slope: float) -> Any:
    """Gate; of arrays, which nothing records, without the way through apply."""
    return (Gate.apply if isinstance(g, Tensor) else Gate.forward)(g, x, gate, slope)


@method(inplace=True)
def relu(input: X) -> X:
    """max(input, 0) of each element."""
    return Relu.apply(input)


def leaky_relu(input: X, negative_slope: float = 0.01, inplace: bool = False) -> X:
    """x where x > 0, else negative_slope · x."""
    return applied(input, inplace, LeakyRelu.apply, promotion.number(negative_slope))


def elu(input: X, alpha: float = 1.0, inplace: bool = False) -> X:
    """x where x > 0, else alpha · (eˣ - 1).

    Source: Clevert, Unterthiner, Hochreiter, Fast and accurate deep network learning by exponential
    linear units, 2016.
    """
    return applied(input, inplace, Elu.apply, promotion.number(alpha), 1.0)


def selu(input: X, inplace: bool = False) -> X:
    """λx where x > 0, else λα (eˣ - 1), with λ and α such that mean 0 and variance 1 stay so.

    Source: Klambauer, Unterthiner, Mayr, Hochreiter, Self-normalizing neural networks, 2017.
    """
    return applied(input, inplace, Elu.apply, 1.6732632423543772, 1.0507009873554805)


def silu(input: X, inplace: bool = False) -> X:
    """x · σ(x), also called swish."""
    return applied(input, inplace, Silu.apply)


def gelu(input: X, *, approximate: str = "none") -> X:
    """x · Φ(x), with Φ the normal distribution function; or its approximation by 'tanh'.

        x/2 · (1 + erf(x / √2))     or     x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))

    Raises: RuntimeError for another `approximate`.
    Source: Hendrycks and Gimpel, Gaussian error linear units, 2016.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(
            f"approximate argument must be either none or tanh, but got {approximate!r}"
        )
    return applied(input, False, Gelu.apply, approximate)


def softplus(input: X, beta: float = 1, threshold: float = 20) -> X:
    """ln(1 + e^(βx)) / β: a smooth relu, and x itself where βx > threshold."""
    numbers = promotion.number(beta), promotion.number(threshold)
    return applied(input, False, Softplus.apply, *numbers)


def applied(x: Any, inplace: bool, formula: Any, *numbers: Any) -> Any:
    """formula(x, *numbers), written into x if so asked.

    Raises: NotImplementedError for integers and bools, as PyTorch does.
    """
    promotion.floats_only([x])
    if inplace:
        return writing.update(x, applied, False, formula, *numbers)
    return formula(x, *numbers)
