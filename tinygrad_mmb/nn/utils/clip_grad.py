"""Gradient clipping: cap the length of the step that one bad batch can cause."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.backend import as_array, namespace


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients together so that their common norm is at most max_norm: g ← g · c / ‖g‖.

    Returns the norm before. `norm_type` may be inf.
    Raises: RuntimeError for a norm that is NaN or infinite, if error_if_nonfinite.
    """
    gradients = gradients_of(parameters)
    if not gradients:
        return wrap(as_array(0.0))
    xp = namespace(gradients[0].array)
    norms = [xp.linalg.norm(g.array.reshape(-1), norm_type) for g in gradients]
    total = xp.linalg.norm(xp.stack(norms), norm_type)
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(
            f"clip_grad_norm_: the total norm of order {norm_type} of the gradients is "
            f"{float(total)}, so they cannot be clipped. Use detect_anomaly() to find why, or set "
            "error_if_nonfinite=False to scale by it anyway"
        )
    factor = (max_norm / (total + 1e-6)).clip(None, 1.0)
    for g in gradients:
        write(g, g.array * factor)
    return wrap(as_array(total))


def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Cut every entry of every gradient to [-clip_value, clip_value]."""
    for g in gradients_of(parameters):
        write(g, g.array.clip(-float(clip_value), float(clip_value)))


def gradients_of(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """The gradients there are."""
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad for p in parameters if p.grad is not None]


def write(g: Tensor, values: Any) -> None:
    """g ← values, in its own memory."""
    g.array[...] = values
    g.memory.touch()
