"""SGD, one number at a time:

    θ ← θ - lr · (g + λ θ)                                   without momentum
    m ← keep · m + take · (g + λ θ),   θ ← θ - step · m      with any of the momenta of optim/sgd.py

θ, g and m are read once and written once; NumPy walks over memory for every + and · of the formula.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.launch.arguments import contiguous
from tinygrad_mmb.kernels.launch.table import is_updatable
from tinygrad_mmb.kernels.numba.compile import jit, numba_kernel
from tinygrad_mmb.kernels.terms import momentum_terms, started_momentum


@jit
def sgd_update(theta: Any, g: Any, lr: Any, sign: Any, decay: Any) -> None:
    for i in range(theta.size):
        slope = sign * g[i]
        if decay:  # 0 · ∞ would be NaN
            slope += decay * theta[i]
        theta[i] -= lr * slope


@jit
def momentum_update(
    theta: Any,
    g: Any,
    m: Any,
    keep: Any,
    take: Any,
    step: Any,
    ahead: Any,  # Nesterov's momentum: θ moves by g + ahead · m; 0: by m alone
    sign: Any,
    decay: Any,
) -> None:
    for i in range(theta.size):
        slope = sign * g[i]
        if decay:
            slope += decay * theta[i]
        m[i] = keep * m[i] + take * slope
        if ahead:
            theta[i] -= step * (slope + ahead * m[i])
        else:
            theta[i] -= step * m[i]


def takes(
    thetas: Sequence[Array], gs: Sequence[Array], states: Sequence[Any], ts: Any, **options: Any
) -> bool:
    """Whether all parameters are floats that lie in rows."""
    return is_updatable(thetas, gs, states)


@numba_kernel("SGD.update", accepts=takes)
def sgd(
    thetas: Sequence[Array],
    gs: Sequence[Array],
    states: Sequence[Any],
    ts: Any,
    *,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
    momentum_form: str = "pytorch",
) -> None:
    take, step = momentum_terms(momentum_form, lr, momentum, dampening)
    factors = started_momentum(thetas, states, momentum_form, momentum, take) if momentum else []
    for k, (theta, g, state) in enumerate(zip(thetas, gs, states, strict=True)):
        number = theta.dtype.type  # a Python float would make the loop compute in float64
        direction = [number(-1 if maximize else 1), number(weight_decay)]
        flat, slope = theta.reshape(-1), contiguous(g).reshape(-1)
        if not momentum:
            sgd_update(flat, slope, number(lr), *direction)
            continue
        numbers = *factors[k], step, momentum if nesterov else 0.0
        m = state["momentum_buffer"].reshape(-1)
        momentum_update(flat, slope, m, *map(number, numbers), *direction)
