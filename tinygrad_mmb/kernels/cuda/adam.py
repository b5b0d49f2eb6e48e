"""Adam: one launch for all parameters of a group, or for as many as a table holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.launch import contiguous, cuda_kernel
from tinygrad_mmb.kernels.launch.table import is_updatable, update_all
from tinygrad_mmb.kernels.terms import all_hold, corrections, decay, remembered_by_adam


def takes(
    thetas: Sequence[Array], gs: Sequence[Array], states: Sequence[Any], ts: Any, **options: Any
) -> bool:
    """Whether all parameters have what this amsgrad asks for, as floats that lie in rows."""
    names = remembered_by_adam(options["amsgrad"])
    return all_hold(states, names) and is_updatable(thetas, gs, states)


@cuda_kernel("Adam.update", accepts=takes)
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
    names, terms = remembered_by_adam(amsgrad), corrections(lr, betas, ts)
    rows = [
        ((theta, contiguous(g), *[state[name] for name in names]), scalars)
        for theta, g, state, scalars in zip(thetas, gs, states, terms, strict=True)
    ]
    pull, shrink = decay(lr, weight_decay, decoupled_weight_decay)
    options = (
        *(float(beta1), float(1 - beta1), float(beta2), float(1 - beta2), float(eps)),
        *(-1.0 if maximize else 1.0, float(pull), float(shrink), int(eps_mode == "inside")),
    )
    update_all("adam.cu", "amsgrad_update" if amsgrad else "adam_update", rows, options)
