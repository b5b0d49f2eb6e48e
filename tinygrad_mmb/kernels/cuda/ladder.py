"""Ladders: the numbered files of csrc/cuda/kernels/<op>/, each a step towards a fast kernel.

The file that launches such steps enters them here. Tests and benchmarks walk the table: whoever
adds a step to a ladder lists it nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any


@dataclass(frozen=True)
class Step:
    """One step: kernels of csrc/cuda/kernels/<file>, launched to compute what the op does.

    `prepare` gets the arguments of the op's forward pass, lays them out as the step wants them, and
    returns the launch, whose result is the op's. It raises ValueError for what the step cannot take
    (yet), RuntimeError on a GPU that is too old for it.
    """

    file: str
    name: str
    prepare: Callable[..., Callable[[], Any]]
    dtype: str = "float32"  # in which it computes

    @property
    def label(self) -> str:
        """As tables and pictures name it: 07_warp_tiles."""
        return f"{PurePosixPath(self.file).name[:2]}_{self.name}"


LADDERS: dict[str, list[Step]] = {}  # by op, the first step first


def enter(op: str, *steps: Step) -> None:
    """Add steps to the ladder of an op."""
    LADDERS.setdefault(op, []).extend(steps)
