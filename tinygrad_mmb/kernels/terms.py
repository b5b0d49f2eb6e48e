"""What the optimizers' twins of every backend make of options and states before they start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array, namespace


def all_hold(states: Sequence[Any], names: Sequence[str]) -> bool:
    """Whether every state holds an array under each of these names."""
    return all([name in state for name in names for state in states])


def remembered_by_adam(amsgrad: bool) -> list[str]:
    """The names of what Adam reads and writes beside θ, in the order of the kernels."""
    return ["exp_avg", "exp_avg_sq", *["max_exp_avg_sq"] * bool(amsgrad)]


def remembered_by_rmsprop(momentum: float, centered: bool) -> list[str]:
    """The names of what RMSprop reads and writes beside θ, in the order of the kernels."""
    more = ["momentum_buffer"] * (momentum > 0) + ["grad_avg"] * bool(centered)
    return ["square_avg", *more]


def decay(lr: float, weight_decay: float, decoupled: bool) -> tuple[float, float]:
    """(pull, shrink) in g ← g + pull · θ and θ ← shrink · θ: weight decay as a part of the
    gradient, or decoupled from it, as in AdamW.
    """
    return (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)


def corrections(
    lr: float, betas: tuple[float, float], ts: Sequence[float]
) -> list[tuple[float, float]]:
    """(lr / (1 - β₁ᵗ), 1 / (1 - β₂ᵗ)) of each parameter, for Adam's moments that start at 0."""
    beta1, beta2 = betas
    of_step = {t: (lr / (1 - beta1**t), 1 / (1 - beta2**t)) for t in set(ts)}  # one, nearly always
    return [of_step[t] for t in ts]


def decayed_rates(lr: float, lr_decay: float, ts: Sequence[float]) -> list[float]:
    """lr / (1 + (t - 1) κ) of each parameter: Adagrad's learning rates."""
    return [lr / (1 + (t - 1) * lr_decay) for t in ts]


def momentum_terms(form: str, lr: float, momentum: float, dampening: float) -> tuple[float, float]:
    """(take, step) in m ← momentum · m + take · g and θ ← θ - step · m, for a form of momentum."""
    return {
        "pytorch": (1 - dampening, lr),
        "polyak": (lr, 1.0),
        "ema": (1 - momentum, lr),
        "velocity_ema": ((1 - momentum) * lr, 1.0),
    }[form]


def started_momentum(
    thetas: Sequence[Array], states: Sequence[Any], form: str, momentum: float, take: float
) -> list[tuple[float, float]]:
    """(keep, take) of each parameter in m ← keep · m + take · g, where `take` is `momentum_terms`'.
    An m that is missing is made: the step is the first, at which PyTorch's form has m = g.
    """
    factors = []
    for theta, state in zip(thetas, states, strict=True):
        if "momentum_buffer" in state:
            factors.append((momentum, take))
        else:
            state["momentum_buffer"] = namespace(theta).zeros_like(theta)
            factors.append((0.0, 1.0 if form == "pytorch" else take))
    return factors
