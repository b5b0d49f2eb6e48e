"""What it costs to begin: importing a library, and the first step of a model.

Imports are timed in processes that do nothing else, in turn: seconds of the processor, without what
Python itself takes. First steps come from the timed runs, whose processes are new as well.
"""

from __future__ import annotations

import compileall
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinygrad_mmb.bench import statistics
from tinygrad_mmb.bench.engines.engine import Engine

ABOVE_NUMPY = 0.1  # seconds that our import may take beyond NumPy's
ABOVE_EAGER = 0.05  # seconds that a first captured step may take beyond an eager one
NUMPY = "numpy"
PACKAGE = Path(__file__).parents[2]
TIMED = "import time; t = time.process_time(); import {0}; print(time.process_time() - t)"


@dataclass(frozen=True)
class Import:
    """Median seconds of the processor, and the width of their middle half."""

    module: str
    ours: bool
    seconds: float
    iqr: float
    rounds: int

    def as_json(self) -> dict[str, Any]:
        return vars(self)


def as_installed() -> None:
    """Write the bytecode of our package, as pip does where it installs one: an import would else be
    a compilation too, at every time if PYTHONDONTWRITEBYTECODE is set. Where nothing can be
    written, it is one.
    """
    compileall.compile_dir(PACKAGE, quiet=2)


def imports(engines: Sequence[Engine], rounds: int) -> list[Import]:
    """NumPy, and the module of every engine, once each. A module that cannot be imported is left
    out: its engine has said why.
    """
    ours = {e.module: e.ours for e in engines}
    modules = [NUMPY, *(m for m in ours if m != NUMPY)]
    found: dict[str, list[float]] = {m: [] for m in modules}
    for k in range(rounds + 1):
        for module in modules if k % 2 == 0 else reversed(modules):
            seconds = import_once(module)
            if seconds is not None and k:  # the first time reads the files from the disk
                found[module].append(seconds)
    return [
        Import(
            m, ours.get(m, False), statistics.median(s), statistics.interquartile_range(s), len(s)
        )
        for m, s in found.items()
        if s
    ]


def import_once(module: str) -> float | None:
    """Seconds of one import, in a new process; None if it failed."""
    command = [sys.executable, "-X", "utf8", "-c", TIMED.format(module)]
    answer = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    return float(answer.stdout.split()[-1]) if answer.returncode == 0 else None


def first_steps(raw: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Milliseconds to build each workload and take its first step, from the timed runs."""
    return [
        {"workload": w, "engine": e, "ms": 1e3 * (found["built"] + found["first"][0])}
        for w, engines in raw.items()
        for e, found in engines.items()
        if found["first"]
    ]


def capture_costs(
    raw: Mapping[str, Mapping[str, Any]], captured: str, eager: str
) -> dict[str, float]:
    """By workload: the most seconds that one of the first two captured steps, which trace and plan,
    took beyond the eager step of the same number.
    """
    found = {}
    for workload, engines in raw.items():
        if engines.get(captured, {}).get("first") and engines.get(eager, {}).get("first"):
            pairs = zip(engines[captured]["first"][:2], engines[eager]["first"][:2], strict=True)
            found[workload] = max(a - b for a, b in pairs)
    return found
