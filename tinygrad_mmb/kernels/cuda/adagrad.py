"""Adagrad: one launch for all parameters of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.launch import contiguous, cuda_kernel
from tinygrad_mmb.kernels.launch.table import is_updatable, update_all
from tinygrad_mmb.kernels.terms import all_hold, decayed_rates


def takes(
    thetas: Sequence[Array], gs: Sequence[Array], states: Sequence[Any], ts: Any, **options: Any
) -> bool:
    """Whether all parameters have their sums, as floats that lie in rows."""
    return all_hold(states, ["sum"]) and is_updatable(thetas, gs, states)


@cuda_kernel("Adagrad.update", accepts=takes)
def adagrad(
    thetas: Sequence[Array],
    gs: Sequence[Array],
    states: Sequence[Any],
    ts: Sequence[float],
    *,
    lr: float,
    lr_decay: float,
    weight_decay: float,
    eps: float,
    maximize: bool,
) -> None:
    rates = decayed_rates(lr, lr_decay, ts)
    rows = [
        ((theta, contiguous(g), state["sum"]), (rate, 0.0))
        for theta, g, state, rate in zip(thetas, gs, states, rates, strict=True)
    ]
    options = (float(eps), -1.0 if maximize else 1.0, float(weight_decay))
    update_all("adagrad.cu", "adagrad_update", rows, options)
