"""How time grows with the batch and with the width: W1 and W2 at other sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_mmb.bench.engines.rounds import Contender
from tinygrad_mmb.bench.engines.workloads import CLASSES, Workload, mlp, residual

BATCHES = (16, 64, 256, 1024, 4096)
WIDTHS = (64, 128, 256, 512)
RESIDUAL_BATCHES = (8, 32, 128, 512)
RESIDUAL_WIDTHS = (16, 64, 256)


@dataclass(frozen=True)
class Point:
    """One workload of a family, at the number that changes along it."""

    family: str
    x: int
    workload: Workload


def points() -> list[Point]:
    """All families: one number changes, the others are those of W1 at batch 64, and of W2."""
    by_batch = [(n, mlp(f"W1 MLP, batch {n}", n)) for n in BATCHES]
    by_width = [(n, mlp(f"W1 MLP, width {n}", 64, (784, n, n // 2, CLASSES))) for n in WIDTHS]
    blocks = [(n, residual(f"W2 residual blocks, batch {n}", n, 64)) for n in RESIDUAL_BATCHES]
    wider = [(n, residual(f"W2 residual blocks, width {n}", 32, n)) for n in RESIDUAL_WIDTHS]
    families = {
        "W1 by batch": by_batch,
        "W1 by width": by_width,
        "W2 by batch": blocks,
        "W2 by width": wider,
    }
    return [Point(family, x, w) for family, found in families.items() for x, w in found]


def entries(point: Point, contenders: Sequence[Contender]) -> list[dict[str, Any]]:
    """What the results file holds of one point."""
    return [
        {
            "family": point.family,
            "x": point.x,
            "engine": c.engine.name,
            "ours": c.engine.ours,
            "ms": c.row.ms,
            "note": c.row.note,
        }
        for c in contenders
    ]
