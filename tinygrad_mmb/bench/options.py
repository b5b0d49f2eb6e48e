"""What a run is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.cuda.ladder import LADDERS

GPU_SECONDS, QUICK_SECONDS = 480.0, 120.0


class BenchError(ValueError):
    """Something the user asked for cannot be."""


@dataclass(frozen=True)
class Options:
    """See `mmb bench --help`."""

    only: tuple[str, ...] = ()
    quick: bool = False
    seed: int = 0
    device: str | None = None  #  "cpu" or "cuda"; None: cuda where there is one
    seconds: float | None = None
    threads: int = 1
    out: Path | None = None
    add: tuple[str, ...] = ()
    op: str | None = None
    grid: str | None = None
    block: str | None = None
    shapes: tuple[tuple[str, str], ...] | None = field(default=None)  # (kernel, shape): those alone

    @property
    def budget(self) -> float:
        """Seconds that the run may take."""
        if self.seconds is not None:
            return self.seconds
        return QUICK_SECONDS if self.quick else GPU_SECONDS

    def as_json(self) -> dict[str, Any]:
        kept = asdict(self) | {"out": None if self.out is None else str(self.out)}
        return {k: v for k, v in kept.items() if k != "shapes"}


def chosen(names: Sequence[str], kernels: Sequence[str]) -> list[str]:
    """The kernels that --only names: an op's name takes its backward too, in any case of letters.

    Raises: BenchError for a name that is none.
    """
    if not names:
        return list(kernels)
    found: list[str] = []
    for name in names:
        wanted = name.lower()
        fits = [k for k in kernels if k.lower() == wanted or k.lower().split(".")[0] == wanted]
        if not fits:
            there = ", ".join(dict.fromkeys(k.split(".")[0] for k in kernels)) or "none"
            raise BenchError(f"--only {name}: there is no such kernel here. There are: {there}")
        found += fits
    return list(dict.fromkeys(found))


def kernels() -> list[str]:
    """The keys of the kernel table, and the ops that have a ladder only."""
    return sorted({*registry.keys(), *LADDERS})
