"""Adagrad: one pass over all parameters of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.cpu.native import cpu_kernel, native
from tinygrad_mmb.kernels.cpu.updates import are_alike, in_rows, memories
from tinygrad_mmb.kernels.terms import all_hold, decayed_rates


def takes(
    thetas: Sequence[Array], gs: Sequence[Array], states: Sequence[Any], ts: Any, **options: Any
) -> bool:
    """Whether all parameters have their sums, as floats that lie in rows."""
    return all_hold(states, ["sum"]) and are_alike(thetas, gs, states)


@cpu_kernel("Adagrad.update", accepts=takes)
def adagrad(
    thetas: list[Array],
    gs: list[Array],
    states: Sequence[Any],
    ts: Sequence[float],
    *,
    lr: float,
    lr_decay: float,
    weight_decay: float,
    eps: float,
    maximize: bool,
) -> None:
    native.adagrad(
        thetas,
        in_rows(gs),
        memories(states, "sum"),
        decayed_rates(lr, lr_decay, ts),
        *(eps, -1.0 if maximize else 1.0, weight_decay),
    )
