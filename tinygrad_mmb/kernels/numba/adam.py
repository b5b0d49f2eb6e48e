"""Adam, one number at a time:

    m ← β₁ m + (1 - β₁) g            v ← β₂ v + (1 - β₂) g²
    θ ← θ - lr / (1 - β₁ᵗ) · m / (√(v / (1 - β₂ᵗ)) + ε)

NumPy takes 14 walks over memory for these three lines. The loop reads θ, g, m, v once and writes θ,
m, v once: 7 numbers moved per parameter, and that is what it costs once they outgrow the cache.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.launch.arguments import contiguous
from tinygrad_mmb.kernels.launch.table import is_updatable
from tinygrad_mmb.kernels.numba.compile import jit, numba_kernel
from tinygrad_mmb.kernels.terms import all_hold, corrections, decay, remembered_by_adam


@jit
def adam_update(
    theta: Any,
    g: Any,
    m: Any,
    v: Any,
    v_max: Any,  # None: no amsgrad
    beta1: Any,
    beta2: Any,
    new1: Any,  #  1 - β₁ and
    new2: Any,  #  1 - β₂, rounded once
    step: Any,  #  lr / (1 - β₁ᵗ)
    grow: Any,  #  1 / (1 - β₂ᵗ)
    eps: Any,
    inside: bool,  # ε under the root
    sign: Any,  #  -1: maximize
    pull: Any,  #  weight decay as part of g,
    shrink: Any,  # or of θ by itself (AdamW)
) -> None:
    for i in range(theta.size):
        slope = sign * g[i]
        if pull:  # 0 · ∞ would be NaN
            slope += pull * theta[i]
        m[i] = beta1 * m[i] + new1 * slope
        v[i] = beta2 * v[i] + new2 * slope * slope
        square = v[i]
        if v_max is not None:
            if not square <= v_max[i]:  # NaN counts as larger
                v_max[i] = square
            square = v_max[i]
        if inside:
            theta[i] = shrink * theta[i] - step * m[i] / math.sqrt(square * grow + eps)
        else:
            theta[i] = shrink * theta[i] - step * m[i] / (math.sqrt(square * grow) + eps)


def takes(
    thetas: Sequence[Array], gs: Sequence[Array], states: Sequence[Any], ts: Any, **options: Any
) -> bool:
    """Whether all parameters have what this amsgrad asks for, as floats that lie in rows."""
    names = remembered_by_adam(options["amsgrad"])
    return all_hold(states, names) and is_updatable(thetas, gs, states)


@numba_kernel("Adam.update", accepts=takes)
def adam(
    thetas: Sequence[Array],
    gs: Sequence[Array],
    states: Sequence[Any],
    ts: Sequence[float],
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    maximize: bool,
    decoupled_weight_decay: bool,
    eps_mode: str = "outside",
) -> None:
    beta1, beta2 = betas
    pull, shrink = decay(lr, weight_decay, decoupled_weight_decay)
    terms = corrections(lr, betas, ts)
    for theta, g, state, scalars in zip(thetas, gs, states, terms, strict=True):
        number = theta.dtype.type  # a Python float would make the loop compute in float64
        moments = (
            state["exp_avg"],
            state["exp_avg_sq"],
            state["max_exp_avg_sq"] if amsgrad else None,
        )
        adam_update(
            *(None if a is None else a.reshape(-1) for a in (theta, contiguous(g), *moments)),
            *map(number, (beta1, beta2, 1 - beta1, 1 - beta2)),
            *map(number, (*scalars, eps)),
            eps_mode == "inside",
            *map(number, (-1 if maximize else 1, pull, shrink)),
        )
