"""SGD, with any of its momenta: one pass over all parameters of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.cpu.native import cpu_kernel, native
from tinygrad_mmb.kernels.cpu.updates import are_alike, in_rows, memories
from tinygrad_mmb.kernels.terms import momentum_terms, started_momentum


def takes(
    thetas: Sequence[Array], gs: Sequence[Array], states: Sequence[Any], ts: Any, **options: Any
) -> bool:
    """Whether all parameters are floats that lie in rows."""
    return are_alike(thetas, gs, states)


@cpu_kernel("SGD.update", accepts=takes)
def sgd(
    thetas: list[Array],
    gs: list[Array],
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
    gs, sign = in_rows(gs), -1.0 if maximize else 1.0
    if not momentum:
        native.sgd(thetas, gs, lr, sign, weight_decay)
        return
    take, step = momentum_terms(momentum_form, lr, momentum, dampening)
    factors = started_momentum(thetas, states, momentum_form, momentum, take)
    native.sgd_momentum(
        thetas,
        gs,
        memories(states, "momentum_buffer"),
        [keep for keep, _ in factors],
        [take for _, take in factors],
        *(step, momentum if nesterov else 0.0, sign, weight_decay),
    )
