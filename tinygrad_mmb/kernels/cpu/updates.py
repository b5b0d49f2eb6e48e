"""What the optimizers' twins ask of a group's arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.launch import contiguous
from tinygrad_mmb.kernels.launch.table import is_updatable


def are_alike(thetas: Sequence[Array], gs: Sequence[Array], states: Sequence[Any]) -> bool:
    """Whether all are floats of one dtype that lie in rows, and none overlaps another."""
    return is_updatable(thetas, gs, states) and len({theta.dtype for theta in thetas}) == 1


def in_rows(gs: Sequence[Array]) -> list[Array]:
    """Gradients as kernels read them: copied where they do not lie in rows."""
    return [contiguous(g) for g in gs]
