"""What the optimizers' twins ask of a group's arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.cpu.native import native


def are_alike(thetas: Sequence[Array], gs: Sequence[Array], states: Sequence[Any]) -> bool:
    """Whether all are floats of one dtype that lie in rows, and none overlaps another."""
    return bool(native.alike(thetas, gs, states))
