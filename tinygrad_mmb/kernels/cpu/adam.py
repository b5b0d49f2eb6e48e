"""Adam: one pass over all parameters of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.cpu.native import cpu_kernel, native
from tinygrad_mmb.kernels.cpu.updates import are_alike, in_rows, memories
from tinygrad_mmb.kernels.terms import decay, has_moments


def takes(
    thetas: Sequence[Array], gs: Sequence[Array], states: Sequence[Any], ts: Any, **options: Any
) -> bool:
    """Whether all parameters have what this amsgrad asks for, as floats that lie in rows."""
    return has_moments(states, options["amsgrad"]) and are_alike(thetas, gs, states)


@cpu_kernel("Adam.update", accepts=takes)
def adam(
    thetas: list[Array],
    gs: list[Array],
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
    terms = {t: (lr / (1 - beta1**t), 1 / (1 - beta2**t)) for t in set(ts)}  # one, nearly always
    native.adam(
        thetas,
        in_rows(gs),
        memories(states, "exp_avg"),
        memories(states, "exp_avg_sq"),
        memories(states, "max_exp_avg_sq", amsgrad),
        [terms[t][0] for t in ts],
        [terms[t][1] for t in ts],
        *(beta1, beta2, eps, -1.0 if maximize else 1.0, pull, shrink, eps_mode == "inside"),
    )
