"""RMSprop: one pass over all parameters of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.cpu.native import cpu_kernel, native
from tinygrad_mmb.kernels.cpu.updates import are_alike, in_rows, memories
from tinygrad_mmb.kernels.terms import all_hold, remembered_by_rmsprop


def takes(
    thetas: Sequence[Array], gs: Sequence[Array], states: Sequence[Any], ts: Any, **options: Any
) -> bool:
    """Whether all parameters have what the options ask for, as floats that lie in rows."""
    names = remembered_by_rmsprop(options["momentum"], options["centered"])
    return all_hold(states, names) and are_alike(thetas, gs, states)


@cpu_kernel("RMSprop.update", accepts=takes)
def rmsprop(
    thetas: list[Array],
    gs: list[Array],
    states: Sequence[Any],
    ts: Any,
    *,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    centered: bool,
    maximize: bool,
) -> None:
    native.rmsprop(
        thetas,
        in_rows(gs),
        memories(states, "square_avg"),
        memories(states, "grad_avg", centered),
        memories(states, "momentum_buffer", momentum > 0),
        *(lr, alpha, eps, momentum, -1.0 if maximize else 1.0, weight_decay),
    )
