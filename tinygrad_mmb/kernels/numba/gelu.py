"""GELU: y = x · Φ(x), with Φ the normal distribution function, and ∂L/∂x = g · (Φ(x) + x · φ(x)).

    Φ(x) = (1 + erf(x / √2)) / 2,    φ(x) = exp(-x²/2) / √2π

NumPy has no erf, and the reference computes one in about 30 walks over x. Here each number is read
once: the C library's erf takes most of the time. Forward writes the slope beside y, as Φ is needed
for both. The approximation by tanh is left to NumPy, which computes 16 of them at once.
"""

from __future__ import annotations

import math
from typing import Any

from tinygrad_mmb.backend import Array, empty_in_layout_of
from tinygrad_mmb.kernels.launch.arguments import is_float
from tinygrad_mmb.kernels.launch.elements import dense, lying_alike
from tinygrad_mmb.kernels.numba.compile import jit, numba_kernel
from tinygrad_mmb.kernels.registry import WithExtras


@jit
def gelu_with_slope(y: Any, slope: Any, x: Any) -> None:
    number = x.dtype.type  # a Python float would make the loop compute in float64
    half, one, root_half = number(0.5), number(1.0), number(math.sqrt(0.5))
    height = number(1.0 / math.sqrt(2.0 * math.pi))
    for i in range(x.size):
        below = half * (one + math.erf(x[i] * root_half))
        y[i] = x[i] * below
        slope[i] = below + x[i] * height * math.exp(-half * x[i] * x[i])


@jit
def multiply(y: Any, a: Any, b: Any) -> None:
    for i in range(y.size):
        y[i] = a[i] * b[i]


def is_exact(x: Array, approximate: str) -> bool:
    """Whether Φ itself is asked for."""
    return is_float(x, wide=True) and approximate == "none"


def has_slope(g: Array, x: Array, approximate: str, slope: Array, needs_input_grad: Any) -> bool:
    """Whether g fits what forward left."""
    return is_float(g, slope, wide=True) and g.shape == slope.shape


@numba_kernel("Gelu", accepts=is_exact)
def gelu(x: Array, approximate: str) -> WithExtras:
    x = dense(x)
    y, slope = empty_in_layout_of(x), empty_in_layout_of(x)
    gelu_with_slope(*(a.ravel(order="K") for a in (y, slope, x)))  # "K": as it lies, not a copy
    return WithExtras(y, slope)


@numba_kernel("Gelu.backward", accepts=has_slope)
def gelu_backward(
    g: Array, x: Array, approximate: str, slope: Array, needs_input_grad: Any
) -> tuple[Array, None]:
    g, slope = lying_alike(g, slope)
    dx = empty_in_layout_of(slope)
    multiply(*(a.ravel(order="K") for a in (dx, g, slope)))
    return dx, None
