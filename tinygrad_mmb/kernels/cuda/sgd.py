"""SGD, with any of its momenta: one launch for all parameters of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.launch import contiguous, cuda_kernel
from tinygrad_mmb.kernels.launch.table import Row, is_updatable, update_all
from tinygrad_mmb.kernels.terms import momentum_terms, started_momentum


def takes(
    thetas: Sequence[Array], gs: Sequence[Array], states: Sequence[Any], ts: Any, **options: Any
) -> bool:
    """Whether all parameters are floats that lie in rows."""
    return is_updatable(thetas, gs, states)


@cuda_kernel("SGD.update", accepts=takes)
def sgd(
    thetas: Sequence[Array],
    gs: Sequence[Array],
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
    gs = [contiguous(g) for g in gs]
    sign, decay = -1.0 if maximize else 1.0, float(weight_decay)
    if not momentum:
        plain: list[Row] = [(pair, (0.0, 0.0)) for pair in zip(thetas, gs, strict=True)]
        update_all("sgd.cu", "sgd_update", plain, (sign, decay, float(lr)))
        return
    take, step = momentum_terms(momentum_form, lr, momentum, dampening)
    factors = started_momentum(thetas, states, momentum_form, momentum, take)
    rows: list[Row] = [
        ((theta, g, state["momentum_buffer"]), keep_and_take)
        for theta, g, state, keep_and_take in zip(thetas, gs, states, factors, strict=True)
    ]
    options = (sign, decay, float(step), float(momentum), int(nesterov))
    update_all("sgd.cu", "momentum_update", rows, options)
