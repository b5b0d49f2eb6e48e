"""What the optimizers' twins of every backend make of the options before they start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def has_moments(states: Sequence[Any], amsgrad: bool) -> bool:
    """Whether every state holds the moments that Adam reads; with `amsgrad` the largest second
    moment too.
    """
    names = ("exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if amsgrad else []))
    return all([name in state for name in names for state in states])


def remembered_by_rmsprop(momentum: float, centered: bool) -> list[str]:
    """The names of what RMSprop reads and writes beside θ, in the order of the kernels."""
    more = ["momentum_buffer"] * (momentum > 0) + ["grad_avg"] * bool(centered)
    return ["square_avg", *more]


def decay(lr: float, weight_decay: float, decoupled: bool) -> tuple[float, float]:
    """(pull, shrink) in g ← g + pull · θ and θ ← shrink · θ: weight decay as a part of the
    gradient, or decoupled from it, as in AdamW.
    """
    return (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)


def momentum_terms(form: str, lr: float, momentum: float, dampening: float) -> tuple[float, float]:
    """(take, step) in m ← momentum · m + take · g and θ ← θ - step · m, for a form of momentum."""
    return {
        "pytorch": (1 - dampening, lr),
        "polyak": (lr, 1.0),
        "ema": (1 - momentum, lr),
        "velocity_ema": ((1 - momentum) * lr, 1.0),
    }[form]
