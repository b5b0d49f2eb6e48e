"""RMSprop: one launch for all parameters of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.launch import contiguous, cuda_kernel
from tinygrad_mmb.kernels.launch.table import is_updatable, update_all
from tinygrad_mmb.kernels.terms import all_hold, remembered_by_rmsprop


def takes(
    thetas: Sequence[Array], gs: Sequence[Array], states: Sequence[Any], ts: Any, **options: Any
) -> bool:
    """Whether all parameters have what the options ask for, as floats that lie in rows."""
    names = remembered_by_rmsprop(options["momentum"], options["centered"])
    return all_hold(states, names) and is_updatable(thetas, gs, states)


@cuda_kernel("RMSprop.update", accepts=takes)
def rmsprop(
    thetas: Sequence[Array],
    gs: Sequence[Array],
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
    names = remembered_by_rmsprop(momentum, centered)
    rows = [
        ((theta, contiguous(g), *[state[name] for name in names]), (0.0, 0.0))
        for theta, g, state in zip(thetas, gs, states, strict=True)
    ]
    options = [float(o) for o in (lr, alpha, 1 - alpha, eps)]
    options += [-1.0 if maximize else 1.0, float(weight_decay), float(momentum)]
    kind = "momentum_" * (momentum > 0) + "centered_" * bool(centered)
    update_all("rmsprop.cu", f"rmsprop_{kind}update", rows, options)
