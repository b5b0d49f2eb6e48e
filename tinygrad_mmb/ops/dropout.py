"""Dropout: values, or whole channels, switched off at random while training."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

from tinygrad_mmb.autograd import inplace as writing
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import Array, namespace, philox
from tinygrad_mmb.kernels.recorder import host
from tinygrad_mmb.kernels.registry import WithExtras
from tinygrad_mmb.ops import random

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d"]

SELU_FLOOR = -1.7580993408473766  # what SELU tends to for x → -∞: -λα


class Dropout(Function):
    """y = x · kept / (1 - p), with kept 0 with probability p, else 1.   ∂L/∂x = g · kept / (1 - p).

    `kept` is a function of the key: the i-th element takes the i-th 32 bits of Philox(key). On a
    GPU the way back draws it again, which costs no memory; NumPy takes ten times as long to draw it
    as to read it, so here it is kept, a byte an element.
    """

    @staticmethod
    def forward(x: Array, p: float, key: int) -> WithExtras:
        kept = kept_of(x, tuple(x.shape), p, key)
        return WithExtras(scaled(x, kept, p), kept)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        _, p, key = inputs
        ctx.save_for_backward(p, key)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        p, key = ctx.saved_tensors
        if isinstance(g, Tensor) or ctx.kernel is not None:
            return Dropout.apply(g, p, key), None, None
        return scaled(g, ctx.extras, p), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((n, n)), 0.3, 2**64 - 59
        yield rng.standard_normal((n, 3 * n)).T, 0.5, 7
        yield rng.standard_normal(n), 0.0, 1
        yield rng.standard_normal(n), 1.0, 1


def scaled(x: Array, kept: Array, p: float) -> Array:
    """x / (1 - p) where it is kept, else x · 0: NaN and infinities show, as in PyTorch."""
    y = x * kept
    y *= x.dtype.type(1.0 / (1.0 - p) if p < 1.0 else 0.0)
    return y


def dropout(
    input: X,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    generator: random.Generator | None = None,
) -> X:
    """Each value zeroed with probability p and the rest divided by 1 - p, so that the mean stays.

    With p = 0 it is `input` itself and nothing is drawn, as in PyTorch.
    Raises: ValueError for p outside [0, 1].   (Srivastava et al., 2014; "inverted".)
    """
    check_probability("dropout", p)
    if not training or p == 0.0:
        return input
    refuse_integers("dropout", input, p)
    key = key_of(generator)
    if inplace:
        update: Any = writing.update
        return update(input, Dropout.apply, p, key)
    return Dropout.apply(input, p, key)


def dropout1d(
    input: X,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    generator: random.Generator | None = None,
) -> X:
    """Whole channels zeroed with probability p.   Shapes: (N, C, L) or (C, L).

    Raises: ValueError for p outside [0, 1]; RuntimeError for other shapes.
    """
    check_probability("dropout1d", p)
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: expected 2D (C, L) or 3D (N, C, L) input, but got {tuple(input.shape)}"
        )
    if not training:
        return input
    shape = (*input.shape[:-1], 1)
    return multiplied(input, mask_of(input, shape, p, generator), inplace)


def dropout2d(
    input: X,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    generator: random.Generator | None = None,
) -> X:
    """Whole channels zeroed with probability p.   Shapes: (N, C, H, W).

    As PyTorch's: the first two dimensions are N and C for every number of dimensions, so a 3-D
    input is (N, C, L), and anything but 4-D gives a warning.
    Raises: ValueError for p outside [0, 1].
    """
    check_probability("dropout2d", p)
    if input.ndim != 4:
        warnings.warn(
            f"dropout2d: expected (N, C, H, W), but got {tuple(input.shape)}: the first two "
            "dimensions are taken as N and C. Use dropout1d, or add a dimension",
            stacklevel=2,
        )
    if not training:
        return input
    if input.ndim < 2:
        raise RuntimeError(
            f"dropout2d: feature dropout needs (N, C, ...), not {tuple(input.shape)}"
        )
    shape = (*input.shape[:2], *[1] * (input.ndim - 2))
    return multiplied(input, mask_of(input, shape, p, generator), inplace)


def alpha_dropout(
    input: X,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    generator: random.Generator | None = None,
) -> X:
    """Values set to SELU's floor -λα, then a · x + b, so that mean 0 and variance 1 stay.

    a = ((1 - p) (1 + p (λα)²))^-½,   b = a · p · λα   (Klambauer et al., 2017, section 3).
    Raises: ValueError for p outside [0, 1].
    """
    check_probability("alpha_dropout", p)
    if not training:
        return input
    if p == 1.0:
        return dropout(input, p, True, inplace, generator)
    refuse_integers("alpha_dropout", input, p)
    kept = kept_of(input, tuple(input.shape), p, key_of(generator))
    a = 1.0 / math.sqrt((1.0 - p) * (1.0 + p * SELU_FLOOR**2))
    factor, shift = kept * a, ((1 - kept) * (a * SELU_FLOOR) - a * SELU_FLOOR * p)
    factor, shift = factor.astype(input.dtype), shift.astype(input.dtype)
    if inplace:
        target: Any = input
        return target.mul_(lifted(input, factor)).add_(lifted(input, shift))
    return input * lifted(input, factor) + lifted(input, shift)


def check_probability(where: str, p: float) -> None:
    """Raise unless 0 ≤ p ≤ 1."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{where}: probability has to be between 0 and 1, but got {p}")


def key_of(generator: random.Generator | None) -> int:
    """64 bits of the generator: what all decisions of one call follow from."""
    source = random.default_generator if generator is None else generator
    return host(draw, source)


def draw(source: random.Generator) -> int:
    """The next 64 bits of a generator."""
    return int(source.numpy.bit_generator.random_raw())


def kept_of(x: Any, shape: tuple[int, ...], p: float, key: int) -> Array:
    """True for what stays, with probability 1 - p; where x is."""
    array = getattr(x, "array", x)
    if hasattr(key, "upload"):  # in a CUDA graph: drawn and copied before each launch
        mask: Array = key.upload(array, philox.kept, shape, p, key)
        return mask
    return namespace(array).asarray(philox.kept(shape, p, key))


def mask_of(x: Any, shape: tuple[int, ...], p: float, generator: random.Generator | None) -> Array:
    """0 with probability p, else 1 / (1 - p)."""
    refuse_integers("dropout", x, p)
    scale = 1.0 / (1.0 - p) if p < 1.0 else 0.0
    return kept_of(x, shape, p, key_of(generator)) * x.dtype.type(scale)


def refuse_integers(where: str, x: Any, p: float) -> None:
    """Scaling by 1 / (1 - p) needs a floating dtype."""
    if x.dtype.kind != "f" and 0.0 < p < 1.0:
        raise RuntimeError(f"{where}: a floating dtype is needed, but got {x.dtype}; x.float()")


def multiplied(x: Any, mask: Array, inplace: bool) -> Any:
    """x · mask, or x itself so changed."""
    return x.mul_(lifted(x, mask)) if inplace else x * lifted(x, mask)


def lifted(x: Any, array: Array) -> Any:
    """A constant of the kind that x is: Tensor or array."""
    return Tensor(array) if isinstance(x, Tensor) else array
