"""One run: whom to ask, then the parts that were asked for; what is found goes to the disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from tinygrad_mmb.bench import statistics
from tinygrad_mmb.bench.engines import goals, memory, rounds, scaling, start, threads
from tinygrad_mmb.bench.engines.child import Child
from tinygrad_mmb.bench.engines.engine import Engine, engines
from tinygrad_mmb.bench.engines.options import (
    IMPORTS,
    MEMORY,
    SCALING,
    STEPS,
    THREADS,
    Options,
    chosen_engines,
    chosen_workloads,
)
from tinygrad_mmb.bench.engines.rounds import Plan, Start
from tinygrad_mmb.bench.machine import Cpu
from tinygrad_mmb.bench.measure import LEAST_ROUNDS
from tinygrad_mmb.bench.options import BenchError
from tinygrad_mmb.bench.results import Results
from tinygrad_mmb.training import manifest

Say = Callable[[str], object]
ORACLE = "float64"
TWO = 2  # threads of the part that compares with one
STAMP = "cpu"


class Run:
    """A run with its engines, its file and its way to start processes."""

    def __init__(
        self, options: Options, taking_part: Sequence[Engine], oracle: Engine, results: Results,
        start: Start, say: Say,
    ) -> None:  # fmt: skip
        self.options, self.engines, self.oracle = options, taking_part, oracle
        self.results, self.start, self.say = results, start, say
        self.plan = Plan(
            options.rounds, options.runs, 1e-3 * options.milliseconds, options.threads, options.seed
        )
        # where the question is how something changes, fewer rounds show it
        self.short = Plan(max(LEAST_ROUNDS, options.rounds // 2), 1, self.plan.seconds,
                          options.threads, options.seed)  # fmt: skip

    def execute(self) -> Results:
        """All parts in turn. What has been found is in the file even if this does not return."""
        parts = {STEPS: self.steps, THREADS: self.threads, SCALING: self.scaling,
                 IMPORTS: self.imports, MEMORY: self.memory}  # fmt: skip
        start.as_installed()
        for name, part in parts.items():
            if name in self.options.parts:
                part()
        self.results.note(finished=True)
        return self.results

    def steps(self) -> None:
        raw: dict[str, Any] = {}
        for workload in chosen_workloads(self.options.only):
            self.say(workload.name)
            found = rounds.measure(workload, self.engines, self.oracle, self.plan, self.start)
            self.results.add(*(c.row for c in found))
            raw[workload.name] = {c.engine.name: c.as_json() for c in found}
            sensors = self.results.content.setdefault("sensors", [])
            sensors.append({"case": workload.name, **Cpu().sensors()})
            rows = self.results.rows
            self.results.note(
                measurements=raw,
                goals=[v.as_json() for v in goals.verdicts(rows)],
                means=[m.as_json() for m in goals.means(rows)],
                first_steps=start.first_steps(raw),
                capture_costs=start.capture_costs(raw, goals.CAPTURED, goals.EAGER),
            )

    def threads(self) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        load = self.options.load or cores or 1
        self.say(f"{TWO} threads, alone and beside {load} busy processes")
        found, failed = threads.everything(
            self.engines, self.oracle, TWO, load, self.short, self.start
        )
        self.results.note(threads=[t.as_json() for t in found], threads_failed=failed)

    def scaling(self) -> None:
        entries: list[dict[str, Any]] = []
        for point in scaling.points():
            self.say(f"{point.family}: {point.x}")
            found = rounds.measure(
                point.workload, self.engines, self.oracle, self.short, self.start
            )
            entries += scaling.entries(point, found)
            self.results.note(scaling=entries)

    def imports(self) -> None:
        self.say("imports")
        found = start.imports(self.engines, max(LEAST_ROUNDS, self.options.rounds // 2))
        self.results.note(imports=[i.as_json() for i in found])

    def memory(self) -> None:
        asked = memory.workload(self.options.memory_scale)
        self.say(f"memory: {asked.name}")
        found, failed = memory.measure(
            self.engines, self.options.memory_scale, self.plan, self.start
        )
        self.results.note(
            memory={"workload": asked.name, "peaks": [p.as_json() for p in found], "failed": failed}
        )


def taking_part(options: Options, known: dict[str, Engine]) -> tuple[list[Engine], dict[str, str]]:
    """The engines that are asked for and installed, and why the others are not. Raises: BenchError
    if none is left, or one that was named is missing.
    """
    wanted = chosen_engines(options.engines, known)
    missing = {e.name: why for e in wanted if (why := e.missing()) is not None}
    if options.engines and missing:
        name, why = next(iter(missing.items()))
        raise BenchError(f"--engines {name}: {why}")
    return [e for e in wanted if e.name not in missing], missing


def run(options: Options, folder: Path, say: Say = print) -> Results:
    """Measure what `options` ask for; results.json in `folder` is valid at any time.

    Raises: BenchError for names that do not exist, or fewer rounds than an interval needs.
    """
    if options.rounds < LEAST_ROUNDS and options.runs < LEAST_ROUNDS:
        raise BenchError(
            f"--rounds {options.rounds}: an interval needs at least {LEAST_ROUNDS} rounds"
        )
    known = engines()
    chosen_workloads(options.only)  # a wrong name is told before anything runs
    there, missing = taking_part(options, known)
    header = {
        "device": STAMP,
        "kind": "cpu",
        "started": manifest.now(),
        "seed": options.seed,
        "machine": Cpu(options.threads).describe(),
        "environment": manifest.environment(),
        "command": manifest.command(),
        "options": options.as_json(),
        "interval": statistics.METHOD,
        "ceilings": {},
        "engines": {e.name: e.version() for e in there},
        "peers_missing": missing,
    }
    results = Results(folder / "results.json", header)
    results.write()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache,
        (folder / "engines.log").open("w", encoding="utf-8") as log,
    ):
        begin = starter(log, Path(cache))
        return Run(options, there, known[ORACLE], results, begin, say).execute()


def starter(log: IO[str], cache: Path) -> Start:
    """Processes whose messages go to one log and whose compilers share one new cache."""

    def start(engine: Engine, threads: int) -> Child:
        return Child(engine, threads, log, cache)

    return start
