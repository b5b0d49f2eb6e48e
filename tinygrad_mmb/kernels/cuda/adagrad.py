"""Adagrad: one launch for all parameters of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.launch import contiguous, cuda_kernel
from tinygrad_mmb.kernels.launch.table import is_updatable, update_all


def takes(
    thetas: Sequence[Array], gs: Sequence[Array], states: Sequence[Any], ts: Any, **options: Any
) -> bool:
    """Whether all parameters are floats that lie in rows."""
    return all("sum" in state for state in states) and is_updatable(thetas, gs, states)


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
    rows = [
        ((theta, contiguous(g), state["sum"]), (lr / (1 + (t - 1) * lr_decay), 0.0))
        for theta, g, state, t in zip(thetas, gs, states, ts, strict=True)
    ]
    options = (float(eps), -1.0 if maximize else 1.0, float(weight_decay))
    update_all("adagrad.cu", "adagrad_update", rows, options)
