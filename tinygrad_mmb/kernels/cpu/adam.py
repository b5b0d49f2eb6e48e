"""Adam: one pass over all parameters of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.cpu.native import cpu_kernel, native
from tinygrad_mmb.kernels.cpu.updates import are_alike, in_rows, memories
from tinygrad_mmb.kernels.terms import all_hold, corrections, decay, remembered_by_adam


def takes(
    thetas: Sequence[Array], gs: Sequence[Array], states: Sequence[Any], ts: Any, **options: Any
) -> bool:
    """Whether all parameters have what this amsgrad asks for, as floats that lie in rows."""
    names = remembered_by_adam(options["amsgrad"])
    return all_hold(states, names) and are_alike(thetas, gs, states)


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
    terms = corrections(lr, betas, ts)
    native.adam(
        thetas,
        in_rows(gs),
        memories(states, "exp_avg"),
        memories(states, "exp_avg_sq"),
        memories(states, "max_exp_avg_sq", amsgrad),
        [step for step, _ in terms],
        [grow for _, grow in terms],
        *(beta1, beta2, eps, -1.0 if maximize else 1.0, pull, shrink, eps_mode == "inside"),
    )
