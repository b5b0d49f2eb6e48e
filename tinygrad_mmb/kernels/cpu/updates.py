"""What the optimizers' twins ask of a group's arrays, and how they hand them to C++."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.cpu.native import native
from tinygrad_mmb.kernels.launch import contiguous


def are_alike(thetas: Sequence[Array], gs: Sequence[Array], states: Sequence[Any]) -> bool:
    """Whether all are floats of one dtype that lie in rows (gradients may lie in any way), and
    nothing that is written lies over anything else.
    """
    return bool(native.alike(thetas, gs, states))


def in_rows(gs: list[Array]) -> list[Array]:
    """The gradients, those that do not lie in rows as copies."""
    return gs if native.all_in_rows(gs) else [contiguous(g) for g in gs]


def memories(states: Sequence[Any], name: str, wanted: bool = True) -> list[Array]:
    """What is remembered of each parameter under a name; nothing unless it is wanted."""
    return [state[name] for state in states] if wanted else []
