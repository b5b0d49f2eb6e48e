"""Two threads against one, on a quiet machine and on a busy one.

Students' laptops, notebooks and CI runners are busy: a library whose threads wait for one another
at barriers may then be many times slower with two threads than with one. For each engine a process
with one thread and one with several take turns, first alone, then beside processes that do nothing
but burn a core each. What is reported is the ratio of the clock's time, several threads to one.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tinygrad_mmb.bench import statistics
from tinygrad_mmb.bench.engines import checks
from tinygrad_mmb.bench.engines.child import Failed
from tinygrad_mmb.bench.engines.engine import Engine
from tinygrad_mmb.bench.engines.rounds import (
    Contender,
    Plan,
    Start,
    repetitions,
    row_of,
    take_turns,
)
from tinygrad_mmb.bench.engines.workloads import WORKLOADS, Workload

CHOSEN = ("W1 MLP, batch 64", "W1 MLP, batch 1024", "W2 20 residual blocks")
AT_MOST = 1.15  # of our own time with one thread, under load
# it ends by itself when its parent has, however that happened
SPIN = """
import os
parent = os.getppid()
print(flush=True)
while os.getppid() == parent:
    sum(range(10000))
"""


@dataclass(frozen=True)
class Threads:
    """One engine with several threads against itself with one; `low` and `high` bound the ratio."""

    workload: str
    engine: str
    ours: bool
    threads: int
    busy: int  # processes beside it
    one_ms: float
    several_ms: float
    ratio: float
    low: float | None
    high: float | None

    def as_json(self) -> dict[str, Any]:
        return vars(self)


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that each keep a core busy."""
    command = [sys.executable, "-c", SPIN]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
    try:
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()  # it has begun
        yield
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.communicate()


def workloads() -> list[Workload]:
    return [w for w in WORKLOADS if w.name in CHOSEN]


def measure(
    workload: Workload,
    engine: Engine,
    expected: dict[str, Any],
    threads: int,
    load: int,
    plan: Plan,
    start: Start,
) -> list[Threads]:
    """Quiet, then beside `load` busy processes. Raises: Failed, also if it does not compute what is
    expected, with one thread or with several.
    """
    found = []
    with start(engine, 1) as one, start(engine, threads) as several:
        steps = []
        for child in (one, several):
            built = child.ask("build", workload=workload.as_json(), seed=plan.seed)
            if problem := checks.difference(built, expected):
                raise Failed(problem)
            steps.append(repetitions(child, built["first"][-1], plan.seconds))
        for processes in (0, load):
            pair = [Contender(engine, row_of(workload, engine)) for _ in range(2)]
            with busy(processes):
                children = list(zip(pair, (one, several), steps, strict=True))
                take_turns(children, plan.rounds)
            for c in pair:
                if not c.row.ok:
                    raise Failed(c.row.note or "")
            found.append(compared(workload, engine, threads, processes, *pair))
    return found


def compared(
    workload: Workload, engine: Engine, threads: int, load: int, one: Contender, several: Contender
) -> Threads:
    a, b = one.wall[0], several.wall[0]
    ratio = statistics.speed_ratio(b, a)  # how many times as long
    middle = statistics.median([y / x for x, y in zip(a, b, strict=True)])
    medians = (1e3 * statistics.median(a), 1e3 * statistics.median(b))
    interval = (None, None) if ratio is None else (ratio.low, ratio.high)
    return Threads(
        workload.name, engine.name, engine.ours, threads, load, *medians, middle, *interval
    )


def everything(
    engines: Sequence[Engine], oracle: Engine, threads: int, load: int, plan: Plan, start: Start
) -> tuple[list[Threads], dict[str, str]]:
    """All engines on the chosen workloads, and why some have no figure."""
    found, failed = [], {}
    for workload in workloads():
        with start(oracle, 1) as child:
            expected = child.ask("build", workload=workload.as_json(), seed=plan.seed)
        for engine in engines:
            if workload.kind in engine.kinds:
                try:
                    found += measure(workload, engine, expected, threads, load, plan, start)
                except Failed as problem:
                    failed[f"{workload.name}, {engine.name}"] = str(problem)
    return found, failed
